"""Trained parameters -> a model folder that focalrt loads.

    python -m train.export --variant hrnet18s-s1 --parameters DIR/hrnet18s-s1.npz --out hrnet18s-s1

Reads ``run.json`` beside the parameters for what ``model.json`` says of the training. Needs focalrt and onnx.
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


def told(run):
    """A sentence on the training for people, from ``run.json``."""
    samples = run["samples"] + run.get("before", 0)
    return f"{samples} samples, the last {run['samples']} in {run['seconds'] / 60:.0f} minutes; see weights/README.md"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--parameters", required=True, help="exported .npz (of several parts: the first)")
    parser.add_argument("--out", required=True, help="the model folder; replaced if it is there")
    parser.add_argument("--radius", type=float, default=5, help="of the Segmentor's disks, as trained (default 5)")
    parser.add_argument("--half", action="store_true", help="store parameters as float16: half the size")
    args = parser.parse_args(argv)
    from focalrt.graphs.folder import write_model

    run = json.loads(Path(args.parameters).with_name("run.json").read_text())
    parameters = read_parameters(args.parameters)
    texts = {"trained": told(run), "licence": LICENCE}
    write_model(parameters, args.variant, args.out, radius=args.radius, **texts, half=args.half)
    print(f"{args.out}: {args.variant}, {told(run)}")


if __name__ == "__main__":
    main()
