"""The commands ``focalrt eval`` and ``focalrt corrupt``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds both to the command line. Imports nothing: whoever asks for another command does not pay for these."""
    for name, add, told in (
        ("eval", add_eval, "clicks to a good mask, by the field's protocol"),
        ("corrupt", add_corrupt, "masks with defects, to be corrected"),
    ):
        add(commands.add_parser(name, help=told, description=told[0].upper() + told[1:] + "."))


def add_data(command: argparse.ArgumentParser) -> None:
    """The arguments that choose samples."""
    command.add_argument("dataset", metavar="DATASET", help="folder of photos and masks, in a layout that people have")
    command.add_argument("--layout", metavar="NAME", help="its layout (default: seen from what is there)")
    command.add_argument("--limit", type=int, metavar="N", help="only N samples, evenly spread")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the defects (default: 0)")


def add_eval(command: argparse.ArgumentParser) -> None:
    """The arguments of ``focalrt eval``."""
    command.set_defaults(command=run_eval)
    add_data(command)
    command.add_argument(
        "--model",
        action="append",
        metavar="METHOD",
        help="NAME or FOLDER of a model; coarse:MODEL, whole:MODEL, soft:MODEL, look-again:MODEL, published:MODEL; "
        "grabcut; sam:ENCODER.onnx,DECODER.onnx; repeat to compare (default: the default model)",
    )
    start = command.add_mutually_exclusive_group()
    start.add_argument(
        "--from-mask", metavar="FOLDER", help="begin with FOLDER/SAMPLE.png, or with the data set's own (sp, stm)"
    )
    start.add_argument("--corrupt", action="store_true", help="begin with the truth, superpixel defects added")
    command.add_argument(
        "--merge",
        action="append",
        choices=("auto", "always", "never"),
        help="Progressive Merge; repeat to compare (default: auto)",
    )
    command.add_argument("--people", type=int, default=0, metavar="N", help="also N seeded users who err like people")
    command.add_argument(
        "--target", type=float, default=0.95, metavar="IOU", help="a sample is done at this IoU (default: 0.95)"
    )
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    command.add_argument("--threads", type=int, default=1, metavar="N", help="processor threads of each (default: 1)")
    command.add_argument("--scheduler", metavar="ADDRESS", help="Dask scheduler (tcp://...), in place of --workers")
    command.add_argument(
        "--out", metavar="DIR", help="keep the records and write report.html here; an interrupted run goes on"
    )


def add_corrupt(command: argparse.ArgumentParser) -> None:
    """The arguments of ``focalrt corrupt``."""
    command.set_defaults(command=run_corrupt)
    add_data(command)
    command.add_argument("--out", required=True, metavar="DIR", help="where SAMPLE.png goes, 0 and 255")


def run_eval(arguments: argparse.Namespace) -> int:
    """Clicks through a data set as a robot would, and tells how many clicks good masks took."""
    from ..zoo import DEFAULT
    from .datasets import open_dataset
    from .play import CORRUPT, SCRATCH, Rules
    from .report import check_extras
    from .run import evaluate

    dataset = open_dataset(arguments.dataset, arguments.layout)
    if arguments.out:
        check_extras()
    start = CORRUPT if arguments.corrupt else arguments.from_mask or SCRATCH
    evaluation = evaluate(
        dataset,
        arguments.model or [DEFAULT],
        merges=arguments.merge or ["auto"],
        people=arguments.people,
        rules=Rules(start, arguments.seed, arguments.target, arguments.threads),
        limit=arguments.limit,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        out=arguments.out,
        progress=sys.stderr.isatty(),
    )
    print(evaluation.scores(), evaluation.times(), sep="\n")
    failed = [record for record in evaluation.records if record.error]
    for record in failed:
        print(f"focalrt: {record.sample}, {record.row.method}: {record.error}", file=sys.stderr)
    if arguments.out:
        evaluation.write_report(Path(arguments.out) / "report.html", shlex.join(["focalrt", *sys.argv[1:]]))
    return 1 if failed else 0


def run_corrupt(arguments: argparse.Namespace) -> int:
    """Writes a mask with superpixel defects for every sample, by the law of DAVIS-585, and tells what it did."""
    from .datasets import open_dataset
    from .defects import write_masks
    from .run import spread

    samples = spread(open_dataset(arguments.dataset, arguments.layout).samples, arguments.limit)
    print(write_masks(samples, Path(arguments.out), arguments.seed))
    return 0
