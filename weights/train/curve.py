"""The picture of a run: losses and held-out IoU against samples."""


def draw_curve(history, path):
    """Writes a PNG; nothing where matplotlib is not there."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4))
    for name in ("loss", "coarse", "refined", "boundary"):
        points = [(line["samples"] / 1e6, line[name]) for line in history if name in line]
        left.plot(*zip(*points) if points else ([], []), label=name)
    for name in ("iou1", "iou2", "iou3", "iou_refined"):
        points = [(line["samples"] / 1e6, line[name]) for line in history if "iou1" in line]
        right.plot(*zip(*points) if points else ([], []), label=name)
    for axes, title in ((left, "training loss"), (right, "held-out IoU (averaged weights)")):
        axes.set(title=title, xlabel="million samples")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
