"""Milliseconds of every variant's Segmentor and Refiner: as published, as ``focalrt convert`` writes them, elsewhere.

    python bench/variants.py [VARIANT ...] [--threads N ...] [--repeat 20] [--json FILE]

Random parameters: times do not hang on them. "plain" is a node-by-node export of the published network, "converted"
what ships; PyTorch runs the published network too, OpenVINO the converted one, each where it is installed. All run by
turns in one process; milliseconds are medians and, in brackets, of the quickest run; ratios and rates are of the
quickest, since what disturbs a machine only ever adds. Rates are shares of what one large matrix product reaches in the
same runtime with the same threads. Needs the ``convert`` extra.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
from machine import keep, options, seconds, table, yardsticks

from focalrt import graphs
from focalrt.graphs import count, plain
from focalrt.networks import FOCALCLICK, RITM, start

PUBLISHED = ("hrnet18s-s1", "hrnet18s-s2", "hrnet32-s2", "segformerb0-s1", "segformerb0-s2", "segformerb3-s2")
NETWORKS = {FOCALCLICK: ("segmentor", "refiner"), RITM: ("segmentor",)}
RECIPE = Path(__file__).resolve().parents[1] / "weights"


def parameters_of(variant):
    """Random arrays for every parameter that was ever trained; variances are positive."""
    rng = np.random.default_rng(0)
    return {
        name: (np.abs(values) + 0.5 if name.endswith("running_var") else values / max(1, np.prod(shape[1:])) ** 0.5)
        for name, shape in plain.expected(variant).items()
        for values in [rng.standard_normal(shape).astype(np.float32)]
    }


def inputs_of(model):
    """Random inputs by name."""
    rng = np.random.default_rng(1)
    shapes = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in model.graph.input}
    return {name: rng.random(shape, np.float32) for name, shape in shapes.items()}


def in_onnx_runtime(model, threads):
    """A call that runs a network as focalrt does."""
    session, feeds = start(model.SerializeToString(), Path(f"{model.graph.name}.onnx"), threads), inputs_of(model)
    return lambda: session.run(None, feeds)


def in_openvino(model, threads):
    """The same in OpenVINO, threads pinned as its latency hint pins them."""
    import openvino

    properties = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(openvino.Core().read_model(model.SerializeToString()), "CPU", properties)
    feeds = inputs_of(model)
    return lambda: request(feeds)


def in_torch(variant, network, threads):
    """The published network in PyTorch, by the training recipe's modules."""
    import torch

    sys.path.insert(0, str(RECIPE))
    from train.nets import build

    torch.set_num_threads(threads)
    net = build(variant).eval()
    image = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        points = torch.tensor([[[128.0, 128.0, 0.0], [-1.0, -1.0, -1.0]]])
        coarse = net(image, image[:, :1], points)
    calls = {
        "segmentor": lambda: net(image, image[:, :1], points),
        "refiner": lambda: net.refine(image, points, coarse, torch.tensor([[64.0, 64.0, 192.0, 192.0]])),
    }

    def call():
        with torch.inference_mode():
            calls[network]()

    return call


def contenders(variant, network, threads):
    """What is compared: names and calls; and multiply-adds, as published and as converted."""
    parameters = parameters_of(variant)
    published, converted = (graph.networks(parameters, variant)[network] for graph in (plain, graphs))
    calls = {"plain": in_onnx_runtime(published, threads), "converted": in_onnx_runtime(converted, threads)}
    if find_spec("torch") and graphs.VARIANTS[variant].method == FOCALCLICK:
        calls["PyTorch"] = in_torch(variant, network, threads)
    if find_spec("openvino"):
        calls["OpenVINO"] = in_openvino(converted, threads)
    return calls, [count.total(model).multiply_adds for model in (published, converted)]


def measured(variant, network, threads, repeat, best):
    """What one network costs in arithmetic and in time, by every means; ``best`` is what sgemm reaches."""
    calls, (before, after) = contenders(variant, network, threads)
    laps = {name: [] for name in calls}
    for _ in range(repeat + 2):
        for name, call in calls.items():
            laps[name].append(1000 * seconds(call))
    spent = {name: {"median": median(lap[2:]), "quickest": min(lap[2:])} for name, lap in laps.items()}
    rate = 2e-6 * after / spent["converted"]["quickest"]
    return {
        "variant": variant, "network": network, "threads": threads, "multiply_adds": [before, after],
        "milliseconds": spent, "ratio": spent["converted"]["quickest"] / spent["plain"]["quickest"],
        "gflops": rate, "of_sgemm": rate / best,
    }


def line(row):
    """A row of the table."""
    others = [row["milliseconds"].get(name) for name in ("plain", "converted", "PyTorch", "OpenVINO")]
    work = [f"{multiply_adds / 1e6:.0f}" for multiply_adds in row["multiply_adds"]]
    return [
        row["variant"], row["network"], str(row["threads"]), *work,
        *(f"{ms['median']:.1f} ({ms['quickest']:.1f})" if ms else "" for ms in others),
        f"{row['ratio']:.2f}", f"{row['gflops']:.0f}", f"{100 * row['of_sgemm']:.0f}",
    ]


HEAD = [
    "variant", "network", "threads", "M madds", "converted", "plain ms", "converted ms", "PyTorch ms", "OpenVINO ms",
    "ratio", "GFLOP/s", "% of sgemm",
]


def main():
    """Measures and prints."""
    args = options(__doc__, PUBLISHED)
    best = yardsticks(args.threads, args.repeat)
    rows = [
        measured(variant, network, threads, args.repeat, best[threads])
        for variant in args.variants
        for network in NETWORKS[graphs.VARIANTS[variant].method]
        for threads in args.threads
    ]
    print(table([line(row) for row in rows], HEAD))
    keep(args.json, sgemm=best, networks=rows)


if __name__ == "__main__":
    main()
