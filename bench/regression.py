"""Whether what was once gained is still there: ratios of a benchmark's JSON against bounds. Seconds are not looked at.

    python bench --quick --json FILE && python bench/regression.py FILE

Both sides of a ratio ran by turns in one process. Bounds leave half or more of the gain for noise. Exit status: 0, or 1
where a bound is crossed.
"""

import json
import sys
from pathlib import Path

SLOWEST = 0.7  # of NumPy/OpenCV's time that a kernel may take
NETWORKS = {  # of the plain export's time that the converted network may take
    ("hrnet18s-s1", "segmentor"): 1.0,
    ("hrnet18s-s1", "refiner"): 0.8,
    ("segformerb0-s1", "segmentor"): 0.75,
    ("segformerb0-s1", "refiner"): 0.8,
}
FILLED = 15  # times quicker than NumPy/OpenCV, beside the networks, where the object fills 12 megapixels
LARGER = 2  # times that a click on 1000 pixels may take, beside the networks, in 50 megapixels and not in 2


def ratios(report):
    """(what, ratio, bound): fine where the ratio is at most the bound."""
    steps = {(row["image"], row["object"]): row for row in report["steps"]}
    yield "12 MP filled, NumPy/OpenCV", 1 / steps["12 MP", None]["times"], 1 / FILLED
    yield "50 MP against 2 MP", steps["50 MP", 1000]["rest"] / steps["2 MP", 1000]["rest"], LARGER
    for name, row in report["kernels"].items():
        yield f"kernel: {name}", 1 / row["times"], SLOWEST
    for row in report["networks"]:
        yield f"{row['variant']} {row['network']}", row["ratio"], NETWORKS[row["variant"], row["network"]]


def main():
    """Prints every ratio; returns the exit status."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    crossed = 0
    for what, ratio, bound in ratios(report):
        crossed += ratio > bound
        print(f"{'CROSSED' if ratio > bound else 'fine':8} {ratio:6.3f} of at most {bound:.3f}  {what}")
    return int(crossed > 0)


if __name__ == "__main__":
    sys.exit(main())
