"""Parameters between those of two runs, of which one began with the other: often better than both.

    python -m train.average OLD.npz NEW.npz --share 0.7 --out MIXED.npz

Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022. Batch statistics are mixed too. The new run's
``run.json`` is written beside what comes out, with the share.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from .export import read_parameters, record_beside


def mixed(old, new, share):
    """name -> (1 - share) old + share new, of the new one's type; whole numbers are the new one's."""
    if {name: array.shape for name, array in old.items()} != {name: array.shape for name, array in new.items()}:
        raise ValueError("the two files hold other parameters, or other shapes")
    return {
        name: ((1 - share) * old[name].astype(np.float64) + share * array.astype(np.float64)).astype(array.dtype)
        if array.dtype.kind == "f" else array
        for name, array in new.items()
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--share", type=float, default=0.5, help="of the new one (default %(default)s)")
    parser.add_argument("--out", required=True)
    args = parser.parse_args(argv)
    record = record_beside(args.new)
    parameters = mixed(read_parameters(args.old), read_parameters(args.new), args.share)
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        np.savez(file, **parameters)
    record["mixed"] = {"share": args.share, "with": "the parameters it began from"}
    out.with_name("run.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
