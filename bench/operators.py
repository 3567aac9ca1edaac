"""Where a network's time goes, by ONNX Runtime's own profiler: operators, then the slowest nodes.

    python bench/operators.py VARIANT segmentor|refiner [--threads N] [--repeat 30] [--nodes 12]

Milliseconds of each node's quickest run, summed by operator; GFLOP/s where an operator multiplies, beside what one
large matrix product reaches with the same threads. Random parameters. Needs the ``convert`` extra.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import onnxruntime
from machine import table, yardsticks
from variants import inputs_of, parameters_of

from focalrt import graphs
from focalrt.graphs import count

TIMES = "_kernel_time"


def profiled(model, threads, repeat):
    """(operator, node) -> milliseconds of its quickest run."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling = threads, True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for _ in range(repeat):
            session.run(None, inputs_of(model))
        events = json.loads(Path(session.end_profiling()).read_text())
    laps = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(TIMES):
            laps[event["args"]["op_name"], event["name"].removesuffix(TIMES)].append(event["dur"] / 1000)
    return {key: min(spent) for key, spent in laps.items()}


def origin(node):
    """The graph's node that one of ONNX Runtime's began as: fusing and other layouts add to its name."""
    return node.split("/")[0].removesuffix("_nchwc").removesuffix(".relu")


def work(model):
    """Node -> millions of multiply-adds."""
    shapes = count.shapes_of(model)
    return {node.name: count.multiply_adds(node, shapes) / 1e6 for node in model.graph.node}


def lines(spent, done):
    """Operators by the time they take: number of nodes, ms, share, GFLOP/s."""
    operators = defaultdict(list)
    for (operator, node), ms in spent.items():
        operators[operator].append((ms, done.get(origin(node), 0)))
    whole = sum(spent.values())
    found = sorted(((sum(ms for ms, _ in each), name, each) for name, each in operators.items()), reverse=True)
    for ms, name, each in found:
        rate = 2 * sum(madds for _, madds in each) / ms
        yield [name, str(len(each)), f"{ms:.2f}", f"{100 * ms / whole:.0f}", f"{rate:.0f}" if rate else ""]


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant")
    parser.add_argument("network", choices=("segmentor", "refiner"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--nodes", type=int, default=12, help="how many of the slowest to list")
    args = parser.parse_args()
    model = graphs.networks(parameters_of(args.variant), args.variant)[args.network]
    yardsticks([args.threads], args.repeat)
    spent, done = profiled(model, args.threads, args.repeat), work(model)
    print(table(list(lines(spent, done)), ["operator", "nodes", "ms", "%", "GFLOP/s"]))
    slowest = sorted(spent.items(), key=lambda item: -item[1])[: args.nodes]
    print(table([[f"{ms:.2f}", *key] for key, ms in slowest], ["ms", "operator", "node"]))


if __name__ == "__main__":
    main()
