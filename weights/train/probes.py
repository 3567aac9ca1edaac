"""What the evaluation's means hide: small objects, parts, neighbours, and what a negative click takes away.

    python -m train.probes --packs DIR [--model NAME|FOLDER ...] [--limit 40]

On the photos of the packs that training holds out. Needs focalrt with its ``eval`` extra.

any        the first object of every photo, from scratch; then the same of as many photos that were trained on: where
           that is no better, it is not photos that are missing
small      objects of less than 1 % of their photo, from scratch; then with a view of four times their box
parts      garments, hair and skin, regions that people drew
neighbour  one of several objects; "spill" is the part of the mask that lies on the others
negative   the mask of two objects, and one negative click in the middle of one of them: how much of it goes, and how
           much of the other one stays
"""

import argparse
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

import focalrt
from focalrt.evaluation.metrics import iou
from focalrt.evaluation.robot import Robot, depth
from focalrt.zoo import DEFAULT

from .packs import load_packs
from .train import held_out

PARTS = ("ccp_parts", "bsds_regions", "camvid")
SMALL = 0.01  # of the photo
CLICKS = (1, 3, 5)


class Photo(NamedTuple):
    """A photo uint8 (H, W, 3), its id map (H, W), its set and its objects' ids."""

    image: np.ndarray
    ids: np.ndarray
    origin: str
    objects: tuple[int, ...]

    def truth(self, ident):
        """1 on the object, 0 off it, -1 where nobody knows: int8 (H, W)."""
        return np.where(self.ids == 255, -1, self.ids == ident).astype(np.int8)

    def share(self, ident):
        """Of the photo that the object covers."""
        return float((self.ids == ident).mean())


def looked_at(packs):
    """The held-out photos, and as many of those that are trained on, evenly spread."""
    trained, watched = held_out(load_packs(Path(packs)))
    some = spread(range(len(trained.names)), len(watched.names))
    return list(photos(watched)), list(photos(trained.subset(some)))


def photos(pack):
    """Every photo of a pack."""
    for number, (height, width) in enumerate(pack.sizes.tolist()):
        image = pack.images[number, :, :height, :width].permute(1, 2, 0).contiguous().numpy()
        objects = tuple(pack.ident[pack.owner == number].tolist())
        yield Photo(image, pack.ids[number, :height, :width].numpy(), pack.sets[number], objects)


def view_of(mask, times=4):
    """A box about the object, that many times its own, clipped to the photo."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    edges = []
    for found, end in ((columns, mask.shape[1]), (rows, mask.shape[0])):
        middle, half = (found[0] + found[-1] + 1) / 2, times * (found[-1] + 1 - found[0]) / 2
        edges.append((max(0, round(middle - half)), min(end, round(middle + half))))
    return edges[0][0], edges[1][0], edges[0][1], edges[1][1]


def scores(model, photo, ident, view=None):
    """IoU after 1, 3 and 5 clicks of the robot, and the mask after the first."""
    truth, robot, clicked = photo.truth(ident), Robot(), []
    session, found, first = model.session(photo.image), {}, None
    for number in range(1, max(CLICKS) + 1):
        aim = robot.aim(session.mask, truth, clicked)
        if aim is not None:
            session.click(*aim, view=view if number == 1 else None)
            clicked.append(aim)
        first = session.mask.copy() if first is None else first
        found[number] = iou(session.mask, truth)
    return [found[number] for number in CLICKS], first


def from_scratch(model, cases):
    """Mean IoUs over (photo, ident)."""
    return np.mean([scores(model, *case)[0] for case in cases], axis=0)


def spill(model, cases):
    """Mean IoUs, and the mean share of the first mask that lies on other objects."""
    ious, shares = [], []
    for photo, ident in cases:
        found, mask = scores(model, photo, ident)
        others = np.isin(photo.ids, [other for other in photo.objects if other != ident])
        ious.append(found)
        shares.append((mask & others).sum() / max(mask.sum(), 1))
    return [*np.mean(ious, axis=0), np.mean(shares)]


def negative(model, pairs):
    """Shares of the clicked object that goes and of the other one that stays; and of clicks that were disobeyed."""
    rows = []
    for photo, keep, drop in pairs:
        wanted, unwanted = photo.ids == keep, photo.ids == drop
        session = model.session(photo.image, wanted | unwanted)
        row, column = np.unravel_index(depth(unwanted).argmax(), unwanted.shape)
        outcome = session.click(column, row, positive=False).outcome
        rows.append((1 - session.mask[unwanted].mean(), session.mask[wanted].mean(), outcome == "disobeyed"))
    return np.mean(rows, axis=0)


def spread(cases, limit):
    """That many of them, evenly."""
    return [cases[k * len(cases) // limit] for k in range(limit)] if limit < len(cases) else cases


def probe(model, every, trained, limit):
    """Prints the tables of one model: on the photos held out, and the first rows on some that were trained on, too."""
    alike, seen = (spread([(photo, photo.objects[0]) for photo in some], limit) for some in (every, trained))
    objects = [(photo, ident) for photo in every for ident in photo.objects]
    small = spread([(photo, ident) for photo, ident in objects if photo.share(ident) < SMALL], limit)
    parts = spread([case for case in objects if case[0].origin in PARTS], limit)
    several = spread([case for case in objects if len(case[0].objects) > 1 and case[0].origin not in PARTS], limit)
    pairs = spread(
        [(photo, *pair) for photo in every if photo.origin not in PARTS for pair in combinations(photo.objects, 2)],
        limit,
    )
    viewed = [(*case, view_of(case[0].ids == case[1])) for case in small]
    for name, cases, told in (
        ("any", alike, from_scratch(model, alike)),
        ("any, trained on", seen, from_scratch(model, seen)),
        ("small", small, from_scratch(model, small)),
        ("small, with a view", viewed, from_scratch(model, viewed)),
        ("parts", parts, from_scratch(model, parts)),
    ):
        print(f"| {name} | {len(cases)} | " + " | ".join(f"{value:.3f}" for value in told) + " | |")
    *ious, share = spill(model, several)
    print(f"| neighbour | {len(several)} | " + " | ".join(f"{value:.3f}" for value in ious) + f" | {share:.3f} |")
    gone, kept, disobeyed = negative(model, pairs)
    print(f"\n{len(pairs)} negative clicks on one of two: {gone:.3f} of it went, {kept:.3f} of the other stayed,")
    print(f"{disobeyed:.3f} of the clicks were disobeyed\n")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", required=True, help="folder of data packs, as for training")
    parser.add_argument("--model", nargs="+", default=[DEFAULT], help="names or folders (default: the package's)")
    parser.add_argument("--limit", type=int, default=40, help="objects of each kind (default: 40)")
    args = parser.parse_args(argv)
    every, trained = looked_at(args.packs)
    for name in args.model:
        print(f"{name}, {len(every)} photos\n")
        print("| objects | n | IoU@1 | @3 | @5 | spill |\n|---|---:|---:|---:|---:|---:|")
        probe(focalrt.load(name, threads=1), every, trained, args.limit)


if __name__ == "__main__":
    main()
