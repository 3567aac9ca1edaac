"""A model folder -> the same network in int8, its ranges taken from clicks on training photos.

    python -m train.quantise --model hrnet18s-s1 --packs DIR --out FOLDER [--method percentile] [--keep 8]

Static, QDQ: weights int8 per channel, activations uint8, convolutions and matrix products only. The robot user clicks
from scratch and from masks with defects on photos of the packs; what the networks read then tells the ranges. The
layers that cost most when they alone are int8 stay in float32 (``--keep``), or those that such a search has found for
another network of the kind (``--layers``). Weights use 7 bits, so that sums of pairs fit 16 bits on processors without
VNNI. The Refiner stays in float32: it is bound by memory, and draws the edge. Needs focalrt with its ``eval`` and
``convert`` extras.
"""

import argparse
import hashlib
import json
import logging
import random
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

import focalrt
from focalrt.evaluation.defects import corrupt
from focalrt.evaluation.play import click_through
from focalrt.evaluation.robot import Robot
from focalrt.evaluation.sample import Example
from focalrt.networks import FocalClickNetworks, start
from focalrt.zoo import find

from .packs import archive_members

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
HEAVY = ("Conv", "Gemm", "MatMul")  # operators worth quantising


class Recorded(FocalClickNetworks):
    """Networks that keep what the Segmentor read."""

    def __init__(self, folder):
        super().__init__(folder, 1)
        self.read = []

    def segment(self, image, maps):
        """Copies, since inputs may be reused."""
        self.read.append({"image": image[None].copy(), "maps": maps[None].copy()})
        return super().segment(image, maps)


class Reader(CalibrationDataReader):
    """Hands out recorded inputs, one after the other."""

    def __init__(self, inputs):
        self._rest = iter(inputs)

    def get_next(self):
        """None at the end, as ONNX Runtime wants it."""
        return next(self._rest, None)


def examples(packs, count, seed=0):
    """One object each of that many photos, spread over all packs: image, truth of 0 and 1 (-1: ignored)."""
    rng = random.Random(seed)
    archives = [archive_members(path) for path in sorted(Path(packs).glob("*.zip"))]
    names = [(archive, name[:-4]) for archive in archives for name in sorted(archive) if name.endswith(".png")]
    for archive, name in rng.sample(names, min(count, len(names))):
        photo, ids = (
            cv2.imdecode(np.frombuffer(archive[f"{name}.{ending}"], np.uint8), mode)
            for ending, mode in (("jpg", cv2.IMREAD_COLOR_RGB), ("png", cv2.IMREAD_UNCHANGED))
        )
        found = [ident for ident in np.unique(ids) if ident not in (0, 255) and (ids == ident).sum() >= 200]
        if found:
            truth = (ids == rng.choice(found)).astype(np.int8)
            truth[ids == 255] = -1
            yield Example(photo, truth)


def recorded(folder, packs, count, clicks=6):
    """What the Segmentor reads while the robot clicks on ``count`` photos, every second one from a faulty mask."""
    networks = Recorded(folder)
    model = focalrt.Model(networks)
    for number, example in enumerate(examples(packs, count)):
        before = len(networks.read)
        initial = corrupt(example.image, example.truth, number).mask if number % 2 else None
        click_through(model, example, Robot(), initial)
        del networks.read[before + clicks :]  # all objects weigh alike, hard ones too
    return networks.read


def widened(model):
    """The same network with arrays that its file holds in float16 in float32: the quantiser would pass them by."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    halves = {tensor.name: tensor for tensor in wide.graph.initializer}
    for cast in [node for node in wide.graph.node if node.op_type == "Cast" and node.input[0] in halves]:
        half = halves[cast.input[0]]
        half.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(half).astype(np.float32), cast.output[0]))
        wide.graph.node.remove(cast)
    return wide


def quantised(model, inputs, method, kept=(), only=None):
    """A network in int8, the nodes named in ``kept`` (or all but ``only``) left in float32."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source, out, Reader(inputs), quant_format=QuantFormat.QDQ, calibrate_method=METHODS[method],
            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8, per_channel=True, reduce_range=True,
            op_types_to_quantize=list(HEAVY), nodes_to_quantize=only, nodes_to_exclude=list(kept),
        )
        return onnx.load(out)


def answers(model, inputs):
    """The logits for every input, one array."""
    session = start(model.SerializeToString(), Path("network.onnx"), 1)
    return np.concatenate([session.run(["logits"], feeds)[0] for feeds in inputs])


def disagreement(logits, others):
    """Mean difference of probabilities: what a mask can feel."""
    return float(np.abs(np.tanh(logits / 2) - np.tanh(others / 2)).mean() / 2)


def costs(model, inputs, method):
    """node name -> disagreement with float32 when that node alone is int8, largest first."""
    exact = answers(model, inputs)
    found = {
        node.name: disagreement(exact, answers(quantised(model, inputs, method, only=[node.name]), inputs))
        for node in model.graph.node
        if node.op_type in HEAVY
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def write(source, network, out, told):
    """A model folder like ``source`` with another Segmentor."""
    shutil.copytree(source, out, dirs_exist_ok=True)
    content = network.SerializeToString(deterministic=True)
    (Path(out) / "segmentor.onnx").write_bytes(content)
    path = Path(out) / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["sha256"]["segmentor.onnx"] = hashlib.sha256(content).hexdigest()
    description["variant"] += "-int8"
    description["trained"] += f"; Segmentor in int8 ({told})"
    path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="name or folder of a model that is not int8")
    parser.add_argument("--packs", required=True, help="folder of data packs, as for training")
    parser.add_argument("--out", required=True, help="the new model folder")
    parser.add_argument("--method", choices=METHODS, default="minmax", help="how ranges are chosen (default: minmax)")
    spared = parser.add_mutually_exclusive_group()
    spared.add_argument("--keep", type=int, default=0, metavar="N", help="leave the N worst layers in float32")
    spared.add_argument("--layers", nargs="+", default=[], metavar="NAME", help="leave these layers in float32")
    parser.add_argument("--photos", type=int, default=32, help="to calibrate on (default: 32)")
    args = parser.parse_args(argv)
    logging.getLogger().setLevel(logging.ERROR)  # ONNX Runtime's advice on preprocessing
    source = find(args.model, None)
    inputs = recorded(source, args.packs, args.photos)
    model = widened(onnx.load(source / "segmentor.onnx"))
    kept = args.layers
    if args.keep:
        kept = list(costs(model, inputs[:: max(1, len(inputs) // 8)], "minmax"))[: args.keep]
    network = quantised(model, inputs, args.method, kept)
    difference = disagreement(answers(model, inputs), answers(network, inputs))
    told = f"{args.method} ranges of {len(inputs)} clicks, {len(kept)} layers in float32"
    write(source, network, args.out, told)
    print(f"{args.out}: {told}: {' '.join(kept)}")
    print(f"mean difference of probabilities on the calibration clicks: {difference:.4f}")


if __name__ == "__main__":
    main()
