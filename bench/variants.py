"""Milliseconds of every variant's Segmentor and Refiner, as published and as ``focalrt convert`` writes them.

    python bench/variants.py [VARIANT ...] [--threads N] [--repeat 10]

Random parameters: times do not hang on them. Each pair runs alternately in one process, and the quickest run of each
counts: what disturbs a machine only ever adds. Needs the ``convert`` extra.
"""

import argparse
from time import perf_counter

import numpy as np
from click import machine, table

from focalrt import graphs
from focalrt.graphs import count, plain
from focalrt.networks import start

PUBLISHED = ("hrnet18s-s1", "hrnet18s-s2", "hrnet32-s2", "segformerb0-s1", "segformerb0-s2", "segformerb3-s2")


def parameters_of(variant):
    """Random arrays for every parameter that was ever trained; variances are positive."""
    rng = np.random.default_rng(0)
    return {
        name: (np.abs(values) + 0.5 if name.endswith("running_var") else values / max(1, np.prod(shape[1:])) ** 0.5)
        for name, shape in plain.expected(variant).items()
        for values in [rng.standard_normal(shape).astype(np.float32)]
    }


def opened(model, threads):
    """An ONNX Runtime session of a graph, and random inputs for it."""
    session = start(model.SerializeToString(), model.graph.name, threads)
    rng = np.random.default_rng(1)
    return session, {value.name: rng.random(value.shape, np.float32) for value in session.get_inputs()}


def quickest(pair, repeat):
    """Milliseconds of the quickest run of each, run in turn."""
    best = [float("inf")] * len(pair)
    for _ in range(repeat + 1):
        for number, (session, inputs) in enumerate(pair):
            began = perf_counter()
            session.run(None, inputs)
            best[number] = min(best[number], 1000 * (perf_counter() - began))
    return best


def measured(variant, network, threads, repeat):
    """One line: what the network costs in arithmetic and in time, before and after."""
    parameters = parameters_of(variant)
    models = [getattr(graph, network)(parameters, variant) for graph in (plain, graphs)]
    work = [count.total(model).multiply_adds / 1e6 for model in models]
    spent = quickest([opened(model, threads) for model in models], repeat)
    rate = 2 * work[1] / spent[1]  # 2e6 operations in 1e-3 s are 1e9 a second
    return [
        variant, network, f"{work[0]:.0f}", f"{work[1]:.0f}",
        f"{spent[0]:.1f}", f"{spent[1]:.1f}", f"{spent[1] / spent[0]:.2f}", f"{rate:.0f}",
    ]


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", default=PUBLISHED, metavar="VARIANT")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=10)
    args = parser.parse_args()
    print(f"{args.threads} thread(s), quickest of {args.repeat}; {machine()}")
    rows = [
        measured(variant, network, args.threads, args.repeat)
        for variant in args.variants
        for network in ("segmentor", "refiner")
    ]
    head = ["variant", "network", "M madds", "converted", "ms", "converted", "ratio", "GFLOP/s"]
    print(table(rows, head))


if __name__ == "__main__":
    main()
