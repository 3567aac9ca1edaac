"""The command line: ``focalrt segment``, ``models``, ``convert``, ``warmup``; ``evaluation/`` and ``serve/`` add more.

Exit status: 0 done, 1 something needed is missing or broken (a file, an image, a model), 2 the arguments do not fit.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import ArgumentTypeError, ArgumentValueError, FocalrtError
from .evaluation.command import add_commands as add_evaluation
from .serve.annotate.command import add_commands as add_annotate
from .serve.command import add_commands as add_serve

if TYPE_CHECKING:
    from .geometry import Click
    from .session import Result, Session

NEGATIVE, OPTION = re.compile(r"-\.?[0-9]"), re.compile(r"--[a-z-]+")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    let_any_name_be_printed()
    arguments = parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    try:
        status: int = arguments.command(arguments)
    except (ArgumentTypeError, ArgumentValueError) as error:
        print(f"focalrt: {error}", file=sys.stderr)
        return 2
    except (FocalrtError, OSError) as error:
        print(f"focalrt: {error}", file=sys.stderr)
        return 1
    return status


def let_any_name_be_printed() -> None:
    r"""What an encoding lacks, a byte of a file's name that is no text for instance, comes out as ``\udce9``.

    So it always does on stderr; stdout would raise, once the work is done.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def joined(words: Sequence[str]) -> list[str]:
    """The words, each that begins with a negative number joined to the option before it: argparse takes ``-0.3,5`` for
    an option of its own.
    """
    whole: list[str] = []
    for word in words:
        if NEGATIVE.match(word) and whole and OPTION.fullmatch(whole[-1]):
            whole[-1] += f"={word}"
        else:
            whole.append(word)
    return whole


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="focalrt", description="A click becomes a mask, on any CPU.")
    top.add_argument("--version", action="version", version=f"focalrt {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    segment = commands.add_parser("segment", help="click on a photo, get a mask")
    segment.set_defaults(command=run_segment)
    segment.add_argument("photo", help="image file (JPEG, PNG, ...); its EXIF orientation is respected")
    segment.add_argument(
        "--click",
        action="append",
        required=True,
        type=click,
        metavar="X,Y[,-]",
        help="a point on the object, in pixels; with ',-' off it; repeat for more, in order",
    )
    segment.add_argument("--mask", metavar="FILE", help="an earlier mask to correct, of the photo's size")
    segment.add_argument("--out", metavar="FILE", help="where the mask goes (default: PHOTO.mask.png, here)")
    segment.add_argument("--overlay", metavar="FILE", help="also write the photo with mask and clicks drawn over it")
    segment.add_argument("--json", action="store_true", help="print what every click did, as JSON")
    segment.add_argument(
        "--view", type=integers, metavar="X0,Y0,X1,Y1", help="the part of the photo that the first click is about"
    )
    segment.add_argument(
        "--merge", default="auto", choices=("auto", "always", "never"), help="Progressive Merge (default: auto)"
    )
    add_model(segment)

    models = commands.add_parser("models", help="list the models that are installed")
    models.set_defaults(command=run_models)
    add_models(models)

    warmup = commands.add_parser("warmup", help="compile the kernels once, so that the first click is quick")
    warmup.set_defaults(command=run_warmup)
    add_model(warmup)
    convert = commands.add_parser("convert", help="make a model of a FocalClick or RITM checkpoint")
    convert.set_defaults(command=run_convert)
    convert.add_argument("checkpoint", help="file that torch.save wrote, or .safetensors; nothing in it is executed")
    convert.add_argument("-o", "--out", metavar="FOLDER", help="the model folder (default: the file's name, here)")
    convert.add_argument("--variant", metavar="NAME", help="as hrnet18s-s2, ritm-hrnet18s (default: seen in the file)")
    convert.add_argument("--radius", type=float, help="of the click disks, as trained (default: the published one)")
    convert.add_argument("--half", action="store_true", help="store parameters in 16 bits: half the size")
    convert.add_argument("--report", action="store_true", help="print costs and what exact shortcuts save")
    add_annotate(commands)
    add_serve(commands)
    add_evaluation(commands)
    return top


def add_model(command: argparse.ArgumentParser) -> None:
    """The options that choose a model and its threads."""
    command.add_argument("--model", metavar="NAME|FOLDER", help="model to use (see: focalrt models)")
    command.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all cores, at most 4)")
    add_models(command)


def add_models(command: argparse.ArgumentParser) -> None:
    """The option that tells where models lie."""
    command.add_argument("--models", metavar="DIR", help="folder of models (default: those that FOCALRT_MODELS lists)")


def click(text: str) -> tuple[float, float, bool]:
    """``x,y`` or ``x,y,+`` for a point on the object, ``x,y,-`` off it."""
    try:
        x, y, *sign = text.split(",")
        if sign not in ([], ["+"], ["-"]):
            raise ValueError
        return float(x), float(y), sign != ["-"]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected X,Y or X,Y,- in pixels; got {text!r}") from None


def integers(text: str) -> tuple[int, ...]:
    """Four integers between commas."""
    try:
        x0, y0, x1, y1 = (int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected X0,Y0,X1,Y1 in pixels; got {text!r}") from None
    return x0, y0, x1, y1


def load_model(arguments: argparse.Namespace) -> Any:
    """The model that the options name."""
    from .model import load

    return load(arguments.model, threads=arguments.threads, models=arguments.models)


def run_segment(arguments: argparse.Namespace) -> int:
    """``focalrt segment``."""
    from .imagefile import LOSSLESS, check_destination, read_image, read_mask, write_image
    from .overlay import draw

    out = Path(arguments.out or f"{Path(arguments.photo).stem}.mask.png")
    for path in filter(None, (out, arguments.overlay)):
        check_destination(path)
    if out.suffix.lower() not in LOSSLESS:
        raise ArgumentValueError(
            f"--out: expected a name that ends in {', '.join(LOSSLESS)}; got {out.suffix}, which would blur the edge "
            "of the mask: take .png"
        )
    image = read_image(arguments.photo)
    mask = read_mask(arguments.mask) if arguments.mask else None
    session = load_model(arguments).session(image, mask, merge=arguments.merge)
    results = [
        session.click(*point, view=arguments.view if number == 0 else None)
        for number, point in enumerate(arguments.click)
    ]
    write_image(out, session.mask.astype("uint8") * 255)
    if arguments.overlay:
        write_image(arguments.overlay, draw(image, session.mask, session.clicks))
    if arguments.json:
        print(json.dumps(report(session, results, out), indent=2))
    else:
        share = session.runs.area / (image.shape[0] * image.shape[1])
        last = results[-1]
        against = ", but not as it says" if last.outcome == "written" and not last.obeyed else ""
        print(f"{out}: {session.runs.area} pixels ({share:.1%}); last click {last.outcome}{against}")
    return 0


def report(session: Session, results: Sequence[Result], out: Path) -> dict[str, Any]:
    """What ``--json`` prints; boxes are [x0, y0, x1, y1], half-open."""
    height, width = session.shape
    return {
        "mask": str(out),
        "width": width,
        "height": height,
        "area": session.runs.area,
        "box": session.runs.box,
        "clicks": [told(point, result) for point, result in zip(session.clicks, results, strict=True)],
    }


def told(point: Click, result: Result) -> dict[str, Any]:
    """One click and what it did."""
    return {
        "x": point.x,
        "y": point.y,
        "positive": point.positive,
        "outcome": result.outcome,
        "obeyed": result.obeyed,
        "changed": result.changed,
        "target": result.target,
        "focus": result.focus,
        "withheld": [{"area": region.area, "box": region.box} for region in result.withheld],
        "milliseconds": {step: round(spent, 3) for step, spent in result.milliseconds.items()},
    }


def run_models(arguments: argparse.Namespace) -> int:
    """``focalrt models``."""
    from .zoo import DEFAULT, ENDS, installed

    models = installed(arguments.models)
    for name, model in models.items():
        ends = [f'"{end}"' for end, shipped in ENDS.items() if shipped == name and model.shipped]
        default = ["default"] if name == DEFAULT else []
        marks = [model.description.variant, f"{model.megabytes:.1f} MB", *default, *ends]
        print(f"{name}  ({', '.join(marks)})")
        print(f"    origin:  {'comes with focalrt' if model.shipped else model.folder}")
        print(f"    trained: {model.description.trained}\n    licence: {model.description.licence}")
    if not models:
        print("focalrt: no model comes with this installation; install it again", file=sys.stderr)
    return 0 if models else 1


def run_convert(arguments: argparse.Namespace) -> int:
    """``focalrt convert``."""
    from .conversion import convert, costs

    folder = arguments.out or Path(arguments.checkpoint).stem
    told = partial(print, "focalrt:", file=sys.stderr)
    options = {"variant": arguments.variant, "radius": arguments.radius, "half": arguments.half}
    convert(arguments.checkpoint, folder, **options, progress=told)
    if arguments.report:
        print(costs(arguments.checkpoint, arguments.variant))
    return 0


def run_warmup(arguments: argparse.Namespace) -> int:
    """``focalrt warmup``: clicks, a stroke, an undo and mask formats, on a made-up image, touch every kernel."""
    import numpy as np

    from . import masks

    began = perf_counter()
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    session = load_model(arguments).session(image, merge="always")
    session.click(64, 48)
    len(session.withheld)
    session.paint(np.ones((9, 9), np.bool_), (20, 20, 29, 29))
    session.click(24, 24, False)
    session.undo()
    session.probability()
    session.mask  # noqa: B018
    masks.from_polygons(masks.to_polygons(session.runs), *session.shape)
    masks.from_coco(masks.to_coco(session.runs, *session.shape))
    masks.from_label_studio(masks.to_label_studio(session.runs, *session.shape), *session.shape)
    masks.from_cvat(masks.to_cvat(session.runs), *session.shape)
    print(f"ready after {perf_counter() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
