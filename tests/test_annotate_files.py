"""What ``focalrt annotate`` keeps beside photos: written whole or not at all, read by others, never over their files.

pycocotools and Pillow read what is written; a process that saves without pause is killed at random moments.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from annotating import HEIGHT, SHAPE, WIDTH, disc, drawn, most_held, write_photo, write_sparse
from command import ENVIRONMENT
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO
from strategies import masks_of

from focalrt import masks
from focalrt.errors import AnnotationError, ArgumentValueError, FocalrtError
from focalrt.runs import Runs
from focalrt.serve.annotate.annotations import (
    Annotation,
    Sheet,
    from_document,
    id_map,
    joined,
    merged,
    parsed,
    to_document,
)
from focalrt.serve.annotate.foreign import read_foreign
from focalrt.serve.annotate.found import found_beside
from focalrt.serve.annotate.lock import locked
from focalrt.serve.annotate.project import Project, UnknownImageError
from focalrt.serve.annotate.saver import Saver
from focalrt.serve.annotate.sidecar import Sidecar

CUP, SAUCER = disc(20, 20, 9), disc(30, 24, 14)  # they overlap
OBJECTS = {1: drawn(1, SAUCER, "saucer"), 3: drawn(3, CUP), 4: drawn(4, CUP & False, "spoon")}


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "photo.jpg")


def sidecar(photo):
    return Sidecar(photo, HEIGHT, WIDTH)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def quiet_coco(path):
    """pycocotools' own reader, which prints."""
    with redirect_stdout(StringIO()):
        return COCO(str(path))


def png(pixels, mode=None):
    """The bytes of a PNG by Pillow, whose modes tell palettes and 16 bits."""
    from io import BytesIO

    out = BytesIO()
    image = Image.fromarray(pixels) if mode is None else Image.fromarray(pixels, mode)
    if mode == "P":
        image.putpalette([(37 * k) % 256 for k in range(768)])
    image.save(out, "PNG")
    return out.getvalue()


# ------------------------------------------------------------ COCO


def test_others_read_what_is_written(photo):
    sidecar(photo).save(OBJECTS)
    coco = quiet_coco(f"{photo}.coco.json")
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (image["file_name"], image["width"], image["height"]) == ("photo.jpg", WIDTH, HEIGHT)
    found = {record["id"]: record for record in coco.loadAnns(coco.getAnnIds())}
    assert sorted(found) == [1, 3]  # an object without a pixel is none to others
    for id, mask in ((1, SAUCER), (3, CUP)):
        np.testing.assert_array_equal(coco.annToMask(found[id]), mask)
        rows, columns = mask.nonzero()
        assert found[id]["area"] == mask.sum()
        assert found[id]["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert coco.loadCats(found[id]["category_id"])[0]["name"] == OBJECTS[id].name
    assert set(json.loads(Path(f"{photo}.coco.json").read_bytes())) - {"info", "licenses"} == {
        "images",
        "annotations",
        "categories",
        "focalrt",
    }


def test_the_id_map_holds_the_objects_numbers_and_later_ones_lie_above(photo):
    sidecar(photo).save(OBJECTS | {700: drawn(700, disc(50, 30, 5))})
    ids = np.asarray(Image.open(f"{photo}.ids.png"))
    np.testing.assert_array_equal(ids == 3, CUP)
    np.testing.assert_array_equal(ids == 1, SAUCER & ~CUP)
    np.testing.assert_array_equal(ids == 700, disc(50, 30, 5))


names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20)
objects_of_one_image = st.dictionaries(
    st.integers(1, 65535), st.tuples(names, st.from_regex(r"#[0-9a-f]{6}", fullmatch=True), masks_of(SHAPE)), max_size=5
).map(lambda parts: {id: Annotation(id, n, c, Runs.from_mask(mask)) for id, (n, c, mask) in parts.items()})


@given(objects_of_one_image)
def test_what_is_written_comes_back(objects):
    content = json.dumps(to_document(Sheet(objects, *SHAPE), "a.jpg")).encode()
    assert from_document(parsed(content), "a.jpg", *SHAPE) == (objects, [])


def test_a_folders_document_numbers_everything_anew(tmp_path):
    sheets = {"b/1.jpg": Sheet(OBJECTS, *SHAPE), "2.jpg": Sheet({7: drawn(7, CUP, "mug")}, *SHAPE)}
    (tmp_path / "all.json").write_text(json.dumps(joined(sheets)))
    coco = quiet_coco(tmp_path / "all.json")
    assert len(coco.imgs) == 2 and sorted(coco.anns) == [1, 2, 3]
    assert sorted(category["name"] for category in coco.cats.values()) == ["cup", "mug", "saucer"]
    (mug,) = (record for record in coco.anns.values() if coco.cats[record["category_id"]]["name"] == "mug")
    assert coco.imgs[mug["image_id"]]["file_name"] == "2.jpg"
    np.testing.assert_array_equal(coco.annToMask(mug), CUP)


def test_a_document_of_many_images_gives_those_of_one():
    document = joined({"train/a.jpg": Sheet({1: drawn(1, CUP)}, *SHAPE), "val/a.jpg": Sheet(OBJECTS, *SHAPE)})
    assert [each.name for each in read_foreign(json.dumps(document).encode(), "train/a.jpg", *SHAPE)[0].values()] == [
        "cup"
    ]
    with pytest.raises(AnnotationError, match=r"expected one image called a\.jpg; 2 of 2"):
        read_foreign(json.dumps(document).encode(), "a.jpg", *SHAPE)
    with pytest.raises(AnnotationError, match="0 of 2"):
        read_foreign(json.dumps(document).encode(), "b.jpg", *SHAPE)


def test_polygons_and_uncompressed_runs_are_read():
    square = [10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]
    column = {"size": [HEIGHT, WIDTH], "counts": [5, 7, HEIGHT * WIDTH - 12]}
    image = {"id": "x", "file_name": "photo.jpg", "width": WIDTH, "height": HEIGHT}
    document = {
        "images": [image],
        "categories": [{"id": 5, "name": "tile\n"}],
        "annotations": [
            {"id": 1, "image_id": "x", "category_id": 5, "segmentation": [square]},
            {"id": 2, "image_id": "x", "category_id": 9, "segmentation": column},
        ],
    }
    first, second = read_foreign(json.dumps(document).encode(), "photo.jpg", *SHAPE)[0].values()
    assert (first.name, first.runs.box) == ("tile", (10, 10, 20, 20)) and first.runs.area == 100
    assert (second.name, second.runs.box) == ("object", (0, 5, 1, 12))


@given(st.data())
def test_damaged_documents_are_refused_or_make_sense(data):
    content = bytearray(json.dumps(to_document(Sheet(OBJECTS, *SHAPE), "a.jpg")).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=3))
    objects = {}
    with suppress(FocalrtError):  # and nothing else
        objects, _ = from_document(parsed(bytes(content)), "a.jpg", *SHAPE)
    id_map(objects, *SHAPE)  # what is accepted can be saved again


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"images": 3}',
        b'{"images": [{"file_name": "a.jpg", "width": 64, "height": 48}]}',
        b'{"images": [{"file_name": "a.jpg", "width": "64", "height": 48}], "annotations": [], "categories": []}',
        b'{"images": [{"file_name": "a.jpg", "width": 64, "height": 49}], "annotations": [], "categories": []}',
        b'{"images": [{"file_name": "a.jpg", "width": 64, "height": 48}], "annotations": [{}], "categories": []}',
        b'{"images": [{"file_name": "a.jpg", "width": 64, "height": 48}], "annotations": [{"segmentation": {"size": '
        b'[48, 64], "counts": [9999999]}}], "categories": []}',
        b'{"images": [], "annotations": [], "categories": [], "focalrt": {"format": 2}}',
    ],
)
def test_what_is_no_document_of_the_image_is_refused(content):
    with pytest.raises(AnnotationError):
        from_document(parsed(content), "a.jpg", *SHAPE)


@pytest.mark.parametrize("bad", [{}, {"segmentation": [[1, 1, 2, 2]]}, {"segmentation": [[]]}, {"segmentation": "5"}])
def test_an_annotation_that_cannot_be_read_leaves_the_others(bad, tmp_path):
    cup = masks.coco_annotation(Runs.from_mask(CUP), *SHAPE)
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": float(WIDTH), "height": HEIGHT}],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [{"id": 1, "image_id": 1, **bad}, {"id": 2, "image_id": 1, "category_id": 1, **cup}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    objects, (told, left_out) = found_beside(write_photo(tmp_path / "a.jpg"), tmp_path, *SHAPE)
    assert [(each.name, each.runs) for each in objects.values()] == [("cup", Runs.from_mask(CUP))]
    assert "annotations.json" in told and "1 of its annotations" in left_out
    document["focalrt"] = {"format": 1, "objects": [{"id": 2, "name": "cup", "colour": "#112233"}]}
    with pytest.raises(AnnotationError):  # what this program wrote is whole, or damaged
        from_document(document, "a.jpg", *SHAPE)


def test_a_copy_is_told_of_what_is_overwritten_alone(photo, tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}")
    Path(f"{photo}.coco.json").symlink_to(elsewhere)
    for name in ("photo.jpg.ids.png", "photo.mask.png"):
        (tmp_path / name).write_bytes(b"no image")
    link, id_map, mask = found_beside(photo, tmp_path, *SHAPE)[1]
    assert "photo.jpg.coco.json" in link and "copy" not in link
    assert "photo.jpg.ids.png" in id_map and "a copy is kept" in id_map
    assert "photo.mask.png" in mask and "copy" not in mask


# ------------------------------------------------------------ images as masks


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png((CUP * 255).astype(np.uint8)), [CUP]),
        (png(CUP.astype(np.uint8)), [CUP]),
        (png(CUP), [CUP]),
        (png(np.where(CUP, 2, SAUCER * 7).astype(np.uint8)), [CUP, SAUCER & ~CUP]),
        (png(np.where(CUP, 300, SAUCER * 7).astype(np.uint16)), [SAUCER & ~CUP, CUP]),
        (png(np.where(CUP, 1, SAUCER * np.uint8(255)).astype(np.uint8), "P"), [CUP]),
        (png(np.where(CUP[..., None], [0, 200, 0], [0, 0, 0]).astype(np.uint8)), [CUP]),
        (png(np.where(CUP[..., None], [9, 0, 0], [0, 0, 8]).astype(np.uint8)), [~CUP, CUP]),
        (png((cv2.blur(CUP.astype(np.float32), (2, 2)) * 255).astype(np.uint8)), [cv2.blur(CUP * 1.0, (2, 2)) > 0.5]),
    ],
    ids=["0, 255", "0, 1", "one bit", "ids", "16 bits", "palette with void", "colour", "no black", "soft edge"],
)
def test_images_are_masks_or_id_maps(content, expected):
    found = [each.runs for each in read_foreign(content, "photo.jpg", *SHAPE)[0].values()]
    assert found == [Runs.from_mask(mask) for mask in expected]


def test_images_that_are_no_mask_are_refused(tmp_path):
    photo = write_photo(tmp_path / "p.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 65536, SHAPE, np.uint16)
    for content in (photo, photo[:200], png(noise), b"", b"GIF89a"):
        with pytest.raises(FocalrtError):
            read_foreign(content, "p.png", *SHAPE)
    with pytest.raises(ArgumentValueError, match="expected 64 x 48 pixels; got 9 x 9"):
        read_foreign(png(CUP[:9, :9]), "p.png", *SHAPE)


# ------------------------------------------------------------ beside a photo


def test_saving_and_loading(photo):
    assert sidecar(photo).load() is None
    sidecar(photo).save(OBJECTS)
    assert files(photo.parent) == ["photo.jpg", "photo.jpg.coco.json", "photo.jpg.ids.png"]
    again = sidecar(photo)
    assert again.load() == OBJECTS
    assert not again.changed() and not again.behind()


def test_photos_that_differ_in_their_endings_do_not_share_files(tmp_path):
    first, second = write_photo(tmp_path / "a.jpg"), write_photo(tmp_path / "a.png")
    pixels = second.read_bytes()
    sidecar(first).save({1: drawn(1, CUP)})
    sidecar(second).save({1: drawn(1, SAUCER)})
    assert sidecar(first).load() == {1: drawn(1, CUP)} and second.read_bytes() == pixels


def test_what_did_not_change_is_not_written(photo):
    once = sidecar(photo)
    once.save(OBJECTS)
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(photo.parent.iterdir())]
    once.save(dict(OBJECTS))
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(photo.parent.iterdir())] == before


@pytest.mark.parametrize("content", [b"", b"{", b'{"images": []}', b'{"focalrt": {"format": 99}}'])
def test_a_document_that_cannot_be_read_is_kept(photo, content):
    document = Path(f"{photo}.coco.json")
    document.write_bytes(content)
    here = sidecar(photo)
    with pytest.raises(AnnotationError):
        here.load()
    assert document.read_bytes() == content  # looking changes nothing
    here.save(OBJECTS)
    (copy,) = photo.parent.glob("*.kept-*")
    assert copy.read_bytes() == content and sidecar(photo).load() == OBJECTS


def test_files_of_others_too_large_for_memory_are_kept(photo, monkeypatch):
    monkeypatch.setattr("focalrt.serve.annotate.sidecar.MOST_BYTES", 1 << 20)
    size = 32 << 20
    for name in ("photo.jpg.coco.json", "photo.jpg.ids.png"):
        write_sparse(photo.with_name(name), size)
    here = sidecar(photo)
    with pytest.raises(AnnotationError, match="no file of at most"):
        here.load()
    assert most_held(lambda: here.save(OBJECTS)) < size // 4
    kept = sorted(photo.parent.glob("*.kept-*"))
    assert [path.name.partition(".kept-")[0] for path in kept] == ["photo.jpg.coco.json", "photo.jpg.ids.png"]
    digest = hashlib.sha256(bytes(size)).hexdigest()
    for path in kept:
        assert path.name.endswith(f".kept-{digest[:12]}") and path.read_bytes() == bytes(size)
    assert sidecar(photo).load() == OBJECTS


def test_a_copy_that_cannot_be_made_whole_leaves_everything_as_it_was(photo, monkeypatch):
    document = Path(f"{photo}.coco.json")
    document.write_bytes(b"{")
    before = files(photo.parent)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="the disk is full"):
            sidecar(photo).save(OBJECTS)
    assert files(photo.parent) == before and document.read_bytes() == b"{"


def full(descriptor):
    raise OSError("the disk is full")


def test_an_id_map_of_others_is_kept(photo):
    other = png((SAUCER * 9).astype(np.uint8))
    Path(f"{photo}.ids.png").write_bytes(other)
    here = sidecar(photo)
    here.save(OBJECTS)
    here.save({})
    (copy,) = photo.parent.glob("*.kept-*")
    assert copy.read_bytes() == other
    assert sidecar(photo).load() == {}


def test_an_id_map_that_was_left_behind_is_told_from_one_that_was_changed(photo):
    here = sidecar(photo)
    here.save({1: drawn(1, CUP)})
    old = Path(f"{photo}.ids.png").read_bytes()
    here.save(OBJECTS)
    for content, behind in ((old, True), (png(SAUCER), False)):
        Path(f"{photo}.ids.png").write_bytes(content)
        again = sidecar(photo)
        again.load()
        assert again.behind() == behind
        again.save(OBJECTS if behind else {})
        assert len(list(photo.parent.glob("*.kept-*"))) == (not behind)
        assert not again.behind()


def test_links_are_not_followed(photo, tmp_path):
    secret = tmp_path / "elsewhere.json"
    secret.write_text("{}")
    Path(f"{photo}.coco.json").symlink_to(secret)
    here = sidecar(photo)
    with pytest.raises(AnnotationError, match="link"):
        here.load()
    here.save(OBJECTS)
    assert secret.read_text() == "{}" and sidecar(photo).load() == OBJECTS


def test_masks_that_others_left_are_found(tmp_path):
    photo = write_photo(tmp_path / "in" / "photo.jpg")
    for path in (photo.parent / "photo.mask.png", tmp_path / "in" / "photo.jpg.mask.png"):
        path.write_bytes(png((CUP * 255).astype(np.uint8)))
        objects, (told,) = found_beside(photo, tmp_path, *SHAPE)
        assert objects[1].runs == Runs.from_mask(CUP) and path.name in told
        path.unlink()
    document = joined({"in/photo.jpg": Sheet(OBJECTS, *SHAPE), "in/other.jpg": Sheet({1: drawn(1, CUP)}, *SHAPE)})
    for path in (tmp_path / "annotations.json", photo.parent / "_annotations.coco.json"):
        path.write_text(json.dumps(document))
        objects, (told,) = found_beside(photo, tmp_path, *SHAPE)
        assert [each.name for each in objects.values()] == ["saucer", "cup"] and path.name in told
        path.unlink()
    namesake = write_photo(tmp_path / "photo.jpg")
    sidecar(namesake).save(OBJECTS)
    assert found_beside(photo, tmp_path, *SHAPE) == ({}, [])


# ------------------------------------------------------------ two that write


one_object = st.sampled_from([None, *(drawn(1, disc(x, 20, 5)) for x in (10, 20, 30))])
sides = st.dictionaries(st.integers(1, 3), st.sampled_from([(n, x) for n in "ab" for x in (10, 20)])).map(
    lambda parts: {id: drawn(id, disc(x, 20, 5), n) for id, (n, x) in parts.items()}
)


@given(sides, sides, sides)
def test_merging_loses_nothing_that_either_drew(base, ours, theirs):
    both = merged(base, ours, theirs)
    assert merged(base, ours, base) == ours and merged(base, base, theirs) == theirs
    content = {(each.name, each.runs) for each in both.values()}
    for mine, other in ((ours, theirs), (theirs, ours)):
        for id, each in mine.items():
            kept = (each.name, each.runs) in content
            assert kept or (each == base.get(id) and other.get(id) != each)
    assert all(both[id] == theirs[id] for id in theirs if theirs[id] != base.get(id))
    assert merged(base, both, theirs) == both  # the next save adds nothing


def test_two_processes_on_one_image_lose_nothing(photo):
    first, second = sidecar(photo), sidecar(photo)
    first.save({1: drawn(1, CUP)})
    assert second.load() == {1: drawn(1, CUP)} and not second.changed()
    first.save({1: drawn(1, SAUCER)})
    assert second.changed()
    moved = drawn(1, disc(40, 20, 8))
    there = second.save({1: moved, 2: drawn(2, CUP, "new")})
    assert there == {1: drawn(1, SAUCER), 2: drawn(2, CUP, "new"), 3: moved._replace(id=3)}
    assert first.save({1: drawn(1, CUP)}) == there | {1: drawn(1, CUP)} == sidecar(photo).load()


def test_saving_waits_for_others_that_save(photo):
    with locked(photo):
        thread = threading.Thread(target=sidecar(photo).save, args=(OBJECTS,))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and not Path(f"{photo}.coco.json").exists()
    thread.join()
    assert sidecar(photo).load() == OBJECTS


# ------------------------------------------------------------ the folder


def test_photos_are_listed_and_nothing_else(tmp_path):
    for name in ("b.JPG", "a #1%20 ü.png", "in/c.webp", "in/deep/d.tif", "kept.mask.png"):
        write_photo(tmp_path / name)
    for name in ("b.mask.png", "b.JPG.ids.png", "in/c.webp.mask.png", ".hidden.jpg", ".git/e.jpg"):
        write_photo(tmp_path / name)
    for name in ("notes.txt", "b.JPG.coco.json", "b.JPG.ids.png.kept-0123456789ab"):
        (tmp_path / name).write_text("")
    expected = ["a #1%20 ü.png", "b.JPG", "in/c.webp", "in/deep/d.tif", "kept.mask.png"]
    assert Project(tmp_path).names() == expected
    assert Project(tmp_path / "b.JPG").names() == ["b.JPG"]


def test_no_name_leads_out_of_the_folder(tmp_path):
    outside = write_photo(tmp_path / "outside" / "secret.jpg")
    inside = write_photo(tmp_path / "photos" / "a.jpg")
    (inside.parent / "out.jpg").symlink_to(outside)
    (inside.parent / "folder").symlink_to(outside.parent)
    (inside.parent / "loop.jpg").symlink_to(inside.parent / "loop.jpg")
    (inside.parent / "same.jpg").symlink_to(inside)
    project = Project(inside.parent)
    assert project.names() == ["a.jpg", "same.jpg"]
    for name in ("out.jpg", "folder/secret.jpg", "../outside/secret.jpg", str(outside), "a.jpg/", "", "a\0.jpg"):
        with pytest.raises(UnknownImageError):
            project.photo(name)
    inside.unlink()
    inside.symlink_to(outside)  # after it was listed
    with pytest.raises(UnknownImageError, match="leads out"):
        project.photo("a.jpg")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere every name is text")
def test_folders_whose_names_are_no_text_are_left_out(tmp_path):
    photo = write_photo(tmp_path / "a.jpg")
    for name in (b"caf\xe9", b"two\nlines", b".hidden"):
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))
        shutil.copy(photo, os.path.join(os.fsencode(tmp_path), name, b"b.jpg"))
    assert Project(tmp_path).names() == ["a.jpg"]


def test_what_is_no_project_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(AnnotationError, match="expected a folder or an image"):
        Project(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        Project(tmp_path / "missing")


# ------------------------------------------------------------ saving


class Slow:
    """Counts its saves; fails while told to."""

    def __init__(self):
        self.saves, self.fails, self.begun, self.go = 0, False, threading.Event(), threading.Event()

    def save(self):
        self.begun.set()
        assert self.go.wait(10)
        if self.fails:
            raise OSError("the disk is full")
        self.saves += 1


def test_many_changes_while_one_is_written_are_written_once():
    saver, thing = Saver(), Slow()
    saver.put(thing)
    assert thing.begun.wait(10) and saver.pending == 1
    for _ in range(5):
        saver.put(thing)
    assert saver.pending == 1
    thing.go.set()
    assert saver.flush(10) and thing.saves == 2
    assert saver.close() == []


def test_what_cannot_be_written_is_told_and_tried_again(monkeypatch, caplog):
    monkeypatch.setattr("focalrt.serve.annotate.saver.PAUSE", 0.01)
    saver, thing, other = Saver(), Slow(), Slow()
    thing.fails, _ = True, (thing.go.set(), other.go.set())
    saver.put(thing)
    saver.put(other)
    assert not saver.flush(0.2)
    assert saver.pending == 1 and saver.error == "OSError: the disk is full" and other.saves == 1
    thing.fails = False
    assert saver.flush(10) and saver.error is None
    thing.fails = True
    saver.put(thing)
    assert saver.close() == ["OSError: the disk is full"] and "not saved" in caplog.text


KILLED = '''
import os, sys
from pathlib import Path
from focalrt.serve.annotate.annotations import Annotation
from focalrt.serve.annotate.sidecar import Sidecar
from focalrt.runs import Runs
from focalrt.geometry import Box

def state(number):
    """Objects of which each tells the number, in a few hundred runs."""
    top = number % 200
    rows = Runs.rectangle(Box(number % 300, top, number % 300 + 90, top + 200))
    return {id: Annotation(id, f"state {number}", "#112233", rows) for id in range(1, 4)}

def save_without_pause(photo, pipe):
    sidecar = Sidecar(photo, 400, 400)
    objects = sidecar.load() or {}
    number = int(objects[1].name.split()[1]) if objects else 0
    while True:
        number += 1
        sidecar.save(state(number))
        os.write(pipe, f"{number}\\n".encode())

if __name__ == "__main__":
    Sidecar(Path(sys.argv[1]), 400, 400).save(state(0))  # every module and kernel is there before the first fork
    for line in sys.stdin:  # one line, one process to kill
        child = os.fork()
        if not child:
            save_without_pause(Path(sys.argv[1]), sys.stdout.fileno())
        print("pid", child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)
'''


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes, which start at once")
def test_killing_it_while_it_saves_leaves_whole_files_and_loses_nothing(tmp_path):
    photo = write_photo(tmp_path / "photo.png", (400, 400))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, script, photo]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as parent:
        told = 0
        for seed in range(25):
            print("go", file=parent.stdin, flush=True)
            child = None
            first = told
            while child is None or told < first + 2:  # it is under way
                word, *rest = parent.stdout.readline().split()
                child, told = (int(rest[0]), told) if word == "pid" else (child, int(word))
            time.sleep(random.Random(seed).random() * 0.02)
            os.kill(child, signal.SIGKILL)
            for line in parent.stdout:
                if line == "dead\n":
                    break
                told = int(line)
            check_whole(photo, told)
        parent.stdin.close()
    assert told > 50


def check_whole(photo, told):
    """What lies there is one of the states that were written, none older than the last that was told."""
    document = json.loads(Path(f"{photo}.coco.json").read_bytes())
    objects, _ = from_document(document, photo.name, 400, 400)
    numbers = {int(each.name.split()[1]) for each in objects.values()}
    (number,) = numbers
    assert told <= number <= told + 1
    coco = quiet_coco(f"{photo}.coco.json")
    for record in coco.anns.values():
        rows, columns = coco.annToMask(record).nonzero()
        assert (rows.min(), columns.min(), len(rows)) == (number % 200, number % 300, 90 * 200)
    ids = np.asarray(Image.open(f"{photo}.ids.png"))
    rows, columns = (ids == 3).nonzero()
    drawn_number = next(n for n in (number, number - 1) if (rows.min(), columns.min()) == (n % 200, n % 300))
    assert len(rows) == 90 * 200
    again = Sidecar(photo, 400, 400)
    again.load()
    assert again.behind() == (drawn_number != number)  # and then the next start writes it
