"""A model on disk, and its networks in ONNX Runtime.

A model is a folder: ``segmentor.onnx``, ``refiner.onnx`` where its method has one, and ``model.json``, which holds

    format            1
    method            "focalclick", also where it is not told, or "ritm": how a click goes, and which networks there are
    variant           such as "hrnet18s-s1"
    side              of the Segmentor's input: 128 or 256; RITM's also 400 or 600
    radius            of the Segmentor's click disks, in pixels of the 256 grid, RITM's in pixels of the input
    refiner_radius    of the Refiner's disks, in pixels of the 256 grid
    threshold         probability above which a pixel is object
    sha256            {"segmentor.onnx": hex digest, "refiner.onnx": hex digest}
    trained, licence  two texts for people

A model of RITM has neither ``refiner.onnx`` nor ``refiner_radius``.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .errors import ModelError, ModelNotFoundError
from .geometry import GRID

SEGMENTOR, REFINER, DESCRIPTION = "segmentor.onnx", "refiner.onnx", "model.json"
FOCALCLICK, RITM = "focalclick", "ritm"
CHANNELS = 32  # of the context that goes from the Segmentor to the Refiner
MOST_THREADS = 4  # beyond that two small networks gain nothing
LARGEST_DESCRIPTION = 1 << 20
EXTERNAL = b"\n\x08location"  # how a tensor whose data lies in another file begins to tell where


class Method(NamedTuple):
    """What a model of a method has: files of networks, sides of the Segmentor's input to choose from, disks' radii."""

    files: tuple[str, ...]
    sides: tuple[int, ...]
    radii: tuple[str, ...]


METHODS = {
    FOCALCLICK: Method((SEGMENTOR, REFINER), (GRID // 2, GRID), ("radius", "refiner_radius")),
    RITM: Method((SEGMENTOR,), (GRID // 2, GRID, 400, 600), ("radius",)),
}


@dataclass(frozen=True)
class Description:
    """The content of a ``model.json``; the module tells its fields. Without a Refiner, ``refiner_radius`` is 0."""

    variant: str
    side: int
    radius: float
    refiner_radius: float
    threshold: float
    sha256: dict[str, str]
    trained: str
    licence: str
    method: str = FOCALCLICK

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the networks' files."""
        return METHODS[self.method].files


def read_description(folder: Path) -> Description:
    """Reads and checks ``model.json``. Raises ModelNotFoundError, ModelError."""
    path = folder / DESCRIPTION
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_DESCRIPTION)
    except OSError as error:
        raise ModelNotFoundError(f"no model in {str(folder)!r}: {DESCRIPTION} cannot be read ({error})") from error
    try:
        fields = json.loads(content)
        assert_fields(fields)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} does not describe a model: {error}") from error
    method = fields.get("method", FOCALCLICK)
    radii = {"refiner_radius": 0.0} | {name: fields[name] for name in METHODS[method].radii}
    others = {name: fields[name] for name in ("variant", "side", "threshold", "sha256", "trained", "licence")}
    return Description(**others, **radii, method=method)


def assert_fields(fields: Any) -> None:
    """Raises ValueError naming the first field of a description that is missing or not as the module tells."""
    if not isinstance(fields, dict) or not is_integer(fields.get("format")) or fields["format"] != 1:
        raise ValueError('expected an object with "format": 1')
    method = fields.get("method", FOCALCLICK)
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"expected that method is {' or '.join(METHODS)}")
    files, sides, radii = METHODS[method]
    digests = fields.get("sha256")
    conditions = {
        "variant, trained and licence are texts": all(
            isinstance(fields.get(name), str) for name in ("variant", "trained", "licence")
        ),
        f"side is {' or '.join(map(str, sides))}": is_integer(fields.get("side")) and fields["side"] in sides,
        f"numbers from 0 to 100 stand for {' and '.join(radii)}": all(
            is_number(fields.get(name)) and 0 <= fields[name] <= 100 for name in radii
        ),
        "threshold is a number between 0 and 1": is_number(fields.get("threshold")) and 0 < fields["threshold"] < 1,
        f"sha256 holds a digest for {' and '.join(files)}": isinstance(digests, dict)
        and all(isinstance(digests.get(name), str) for name in files),
    }
    for condition, holds in conditions.items():
        if not holds:
            raise ValueError(f"expected that {condition}")


def is_integer(value: Any) -> bool:
    """Whether a JSON value is an integer (true and false are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number (true and false are not)."""
    return is_integer(value) or isinstance(value, float)


def available_threads() -> int:
    """Processor cores that this process may use, at most 4."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_THREADS, len(affinity(0)) if affinity else os.cpu_count() or 1)


class Networks:
    """The Segmentor and the Refiner of one model. Calls from several threads at a time are fine."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Reads and checks all three files. Raises ModelNotFoundError, ModelError."""
        self.description = description_of(folder, FOCALCLICK)
        self.side = self.description.side
        self.radius = self.description.radius
        self.refiner_radius = self.description.refiner_radius
        self.threshold = self.description.threshold
        plane, small = (GRID, GRID), (self.side // 4, self.side // 4)
        self._segmentor, self._refiner = (
            start(read_verified(folder, name, self.description.sha256), folder / name, threads)
            for name in (SEGMENTOR, REFINER)
        )
        check_signature(
            self._segmentor,
            folder / SEGMENTOR,
            {"image": (1, 3, self.side, self.side), "maps": (1, 3, self.side, self.side)},
            {"logits": (1, 1, *plane), "context": (1, CHANNELS, *small)},
        )
        check_signature(
            self._refiner,
            folder / REFINER,
            {
                "image": (1, 3, *plane),
                "disks": (1, 2, *plane),
                "context": (1, CHANNELS, *small),
                "logits": (1, 1, *plane),
            },
            {"refined": (1, 1, *plane)},
        )

    def segment(
        self, image: NDArray[np.float32], maps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The Segmentor (SPEC sections 1 and 2).

        image: RGB in [0, 1], float32 (3, S, S). maps: previous mask, positive and negative disks, float32 (3, S, S).
        Returns the coarse logits (256, 256) and the context for the Refiner (32, S/4, S/4).
        """
        logits, context = self._segmentor.run(["logits", "context"], {"image": image[None], "maps": maps[None]})
        return logits[0, 0], context[0]

    def refine(
        self,
        image: NDArray[np.float32],
        disks: NDArray[np.float32],
        context: NDArray[np.float32],
        logits: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The Refiner (SPEC section 3), on the focus box.

        image: RGB in [0, 1], float32 (3, 256, 256). disks: positive and negative, (2, 256, 256). context (32, S/4, S/4)
        and logits (256, 256): RoIAligned. Returns the refined logits (256, 256).
        """
        feeds = {"image": image[None], "disks": disks[None], "context": context[None], "logits": logits[None, None]}
        (refined,) = self._refiner.run(["refined"], feeds)
        return refined[0, 0]  # type: ignore[no-any-return]


class Segmentor:
    """The one network of a model of RITM. Calls from several threads at a time are fine."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Reads and checks both files. Raises ModelNotFoundError, ModelError."""
        self.description = description_of(folder, RITM)
        self.side = side = self.description.side
        self.radius = self.description.radius
        self.threshold = self.description.threshold
        self._network = start(read_verified(folder, SEGMENTOR, self.description.sha256), folder / SEGMENTOR, threads)
        check_signature(
            self._network,
            folder / SEGMENTOR,
            {"image": (1, 3, side, side), "maps": (1, 3, side, side)},
            {"logits": (1, 1, side // 4, side // 4)},
        )

    def segment(self, image: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network (SPEC section 1).

        image: RGB in [0, 1], float32 (3, S, S). maps: previous mask, positive and negative disks, float32 (3, S, S).
        Returns the logits (S/4, S/4).
        """
        (logits,) = self._network.run(["logits"], {"image": image[None], "maps": maps[None]})
        return logits[0, 0]  # type: ignore[no-any-return]


CLASSES: dict[str, type[Networks] | type[Segmentor]] = {FOCALCLICK: Networks, RITM: Segmentor}


def load_networks(folder: Path, threads: int | None = None) -> Networks | Segmentor:
    """The networks of a model, of the class of its method. Raises ModelNotFoundError, ModelError."""
    return CLASSES[read_description(folder).method](folder, threads)


def description_of(folder: Path, method: str) -> Description:
    """The description of a model of this method. Raises ModelNotFoundError, ModelError."""
    description = read_description(folder)
    if description.method != method:
        raise ModelError(f"{str(folder)!r} holds a model of {description.method}; here one of {method} is needed")
    return description


def read_verified(folder: Path, name: str, sha256: dict[str, str]) -> bytes:
    """The bytes of a network whose digest is the one in ``model.json``."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"the model in {str(folder)!r} is not whole: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256[name].lower():
        raise ModelError(
            f"{str(folder / name)!r} is damaged or was altered: its SHA-256 is {digest}, {DESCRIPTION} says "
            f"{sha256[name]}; install or convert the model again"
        )
    return content


def start(content: bytes, path: Path, threads: int | None) -> Any:
    """An ONNX Runtime session of a network; ``path`` tells in errors where it came from.

    The thread count is always explicit (0 would pin threads to cores and fail in containers), and threads that wait do
    not spin: clicks are seconds apart, and the host has work of its own. No file but this one is read: ONNX Runtime
    would take tensors kept elsewhere from the current directory. Raises ModelError.
    """
    if EXTERNAL in content:
        raise ModelError(f"{str(path)!r} keeps parameters in another file; a model's networks are whole files")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False  # one block for all activations: 10 MB more, no faster (measured)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class but this
        raise ModelError(f"{str(path)!r} is not a network that ONNX Runtime can run: {error}") from error


def check_signature(
    session: Any, path: Path, inputs: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]
) -> None:
    """Raises ModelError where a session has not these inputs and, at least, these outputs, all float32."""
    found = {
        "inputs": {value.name: tuple(value.shape) for value in session.get_inputs() if value.type == "tensor(float)"},
        "outputs": {value.name: tuple(value.shape) for value in session.get_outputs() if value.type == "tensor(float)"},
    }
    complete = found["inputs"] == inputs and len(session.get_inputs()) == len(inputs)
    if not complete or any(found["outputs"].get(name) != shape for name, shape in outputs.items()):
        raise ModelError(
            f"{str(path)!r} is not the network expected there: it has {found}, expected float32 inputs {inputs} and "
            f"outputs {outputs}"
        )
