"""Trained parameters -> a model folder that focalrt loads.

    python -m train.export --parameters DIR/hrnet18s-s1.npz --out hrnet18s-s1

Variant, radius of the disks, and what ``model.json`` says of the training are read from ``run.json`` beside the
parameters. Needs focalrt and onnx.
"""

import argparse
import json
from pathlib import Path

import numpy as np

LICENCE = "Apache-2.0"


def read_parameters(path):
    """name -> array of an exported ``.npz``, or of ``x-1.npz`` with its further parts."""
    path = Path(path)
    paths = [path]
    if path.stem.endswith("-1"):
        paths = sorted(path.parent.glob(f"{path.stem[:-2]}-*.npz"), key=lambda p: int(p.stem.rsplit("-", 1)[1]))
    return {name: array for part in paths for name, array in np.load(part).items()}


def record_beside(path):
    """What ``run.json`` beside the parameters tells of their training."""
    record = Path(path).with_name("run.json")
    if not record.exists():
        raise FileNotFoundError(f"{record}: not there; training and train.average write it beside the parameters")
    return json.loads(record.read_text())


def told(run):
    """A sentence on the training for people, from ``run.json``."""
    before, minutes = run.get("before", 0), round(run["seconds"] / 60)
    which = f", the last {run['samples']}" if before else ""
    device = run["arguments"].get("device", "cpu")
    return f"{before + run['samples']} samples{which} in {minutes} minutes on {device}; see weights/README.md"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", required=True, help="exported .npz (of several parts: the first)")
    parser.add_argument("--out", required=True, help="the model folder; replaced if it is there")
    parser.add_argument("--half", action="store_true", help="store parameters as float16: half the size")
    args = parser.parse_args(argv)
    from focalrt.graphs.folder import write_model

    run = record_beside(args.parameters)
    variant, radius = run["variant"], run["arguments"]["radius"]
    texts = {"trained": told(run), "licence": LICENCE}
    write_model(read_parameters(args.parameters), variant, args.out, radius=radius, **texts, half=args.half)
    print(f"{args.out}: {variant}, {told(run)}")


if __name__ == "__main__":
    main()
