"""The networks of a model in ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from .description import DESCRIPTION, FOCALCLICK, REFINER, RITM, SEGMENTOR, Description, read_description
from .errors import ModelError, ModelNotFoundError
from .geometry import GRID

CHANNELS = 32  # of the context that goes from the Segmentor to the Refiner
MOST_THREADS = 4  # beyond that two small networks gain nothing
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]  # of inputs or outputs, by their names
EXTERNAL = b"\n\x08location"  # how a tensor whose data lies in another file begins to tell where


def available_threads() -> int:
    """Processor cores that this process may use, at most 4."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_THREADS, len(affinity(0)) if affinity else os.cpu_count() or 1)


class Loaded:
    """What every method's networks have in common: a description, a threshold, and the files that they came from.

    A copy shares the networks in memory. A pickle tells where the files lie, and loads them there anew.
    """

    def __init__(self, folder: Path, threads: int | None, method: str) -> None:
        """Raises ModelNotFoundError, ModelError."""
        self.folder, self.threads = Path(os.path.abspath(folder)), threads
        self.description = description_of(folder, method)
        self.side = self.description.side
        self.radius = self.description.radius
        self.threshold = self.description.threshold

    def __copy__(self) -> Loaded:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Loaded:
        return copy(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return reloaded, (type(self), self.folder, self.threads, self.description, self.threshold)


def reloaded(
    kind: type[FocalClickNetworks] | type[RitmNetwork],
    folder: Path,
    threads: int | None,
    description: Description,
    threshold: float,
) -> FocalClickNetworks | RitmNetwork:
    """The networks of a pickle, from their files. Raises ModelNotFoundError, and ModelError for files of another."""
    networks = kind(folder, threads)
    if networks.description != description:
        raise ModelError(f"{str(folder)!r} holds another model than the one that was pickled; load it by focalrt.load")
    networks.threshold = threshold
    return networks


class FocalClickNetworks(Loaded):
    """The Segmentor and the Refiner of one model. Calls from several threads at a time are fine."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Reads and checks all three files. Raises ModelNotFoundError, ModelError."""
        super().__init__(folder, threads, FOCALCLICK)
        self.refiner_radius = self.description.refiner_radius
        plane, small = (GRID, GRID), (self.side // 4, self.side // 4)
        self._segmentor_outputs = {"logits": (1, 1, *plane), "context": (1, CHANNELS, *small)}
        self._refiner_outputs = {"refined": (1, 1, *plane)}
        self._segmentor, self._refiner = (
            start(read_verified(folder, name, self.description.sha256), folder / name, threads)
            for name in (SEGMENTOR, REFINER)
        )
        check_signature(
            self._segmentor,
            folder / SEGMENTOR,
            {"image": (1, 3, self.side, self.side), "maps": (1, 3, self.side, self.side)},
            self._segmentor_outputs,
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
            self._refiner_outputs,
        )

    def segment(
        self, image: NDArray[np.float32], maps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The Segmentor (SPEC sections 1 and 2).

        image: RGB in [0, 1], float32 (3, S, S). maps: previous mask, positive and negative disks, float32 (3, S, S).
        Returns the coarse logits (256, 256) and the context for the Refiner (32, S/4, S/4). Raises ModelError.
        """
        feeds = {"image": image[None], "maps": maps[None]}
        logits, context = answers(self._segmentor, self.folder / SEGMENTOR, feeds, self._segmentor_outputs)
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
        and logits (256, 256): RoIAligned. Returns the refined logits (256, 256). Raises ModelError.
        """
        feeds = {"image": image[None], "disks": disks[None], "context": context[None], "logits": logits[None, None]}
        (refined,) = answers(self._refiner, self.folder / REFINER, feeds, self._refiner_outputs)
        return refined[0, 0]  # type: ignore[no-any-return]


class RitmNetwork(Loaded):
    """The one network of a model of RITM. Calls from several threads at a time are fine."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        """Reads and checks both files. Raises ModelNotFoundError, ModelError."""
        super().__init__(folder, threads, RITM)
        side = self.side
        self._outputs = {"logits": (1, 1, side // 4, side // 4)}
        self._network = start(read_verified(folder, SEGMENTOR, self.description.sha256), folder / SEGMENTOR, threads)
        check_signature(
            self._network,
            folder / SEGMENTOR,
            {"image": (1, 3, side, side), "maps": (1, 3, side, side)},
            self._outputs,
        )

    def segment(self, image: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network (SPEC section 1).

        image: RGB in [0, 1], float32 (3, S, S). maps: previous mask, positive and negative disks, float32 (3, S, S).
        Returns the logits (S/4, S/4). Raises ModelError.
        """
        feeds = {"image": image[None], "maps": maps[None]}
        (logits,) = answers(self._network, self.folder / SEGMENTOR, feeds, self._outputs)
        return logits[0, 0]  # type: ignore[no-any-return]


CLASSES: dict[str, type[FocalClickNetworks] | type[RitmNetwork]] = {FOCALCLICK: FocalClickNetworks, RITM: RitmNetwork}


def load_networks(folder: Path, threads: int | None = None) -> FocalClickNetworks | RitmNetwork:
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


def check_signature(session: Any, path: Path, inputs: Shapes, outputs: Shapes) -> None:
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


def run(
    session: Any, path: Path, outputs: list[str] | None, feeds: dict[str, NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """These outputs of a session, or all, as they come. ``path`` tells in errors where it came from.

    Raises ModelError; MemoryError, which says nothing about the model.
    """
    try:
        found: list[NDArray[np.float32]] = session.run(outputs, feeds)
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no base class but this
        raise ModelError(f"{str(path)!r} cannot be run on this input: {error}") from error
    return found


def answers(
    session: Any, path: Path, feeds: dict[str, NDArray[np.float32]], expected: Shapes
) -> list[NDArray[np.float32]]:
    """What a session answers: its outputs of these names, float32 of these shapes.

    They are looked at after every run, as kernels check no bounds: where the shape of an output hangs on the data, ONNX
    Runtime goes by what comes out, whatever the file declares. Raises ModelError.
    """
    found = run(session, path, [*expected], feeds)
    for (name, shape), values in zip(expected.items(), found, strict=True):
        if values.shape != shape or values.dtype != np.float32:
            raise ModelError(
                f"{str(path)!r} does not answer as it declares: {name} came as {values.dtype} {values.shape}, expected "
                f"float32 {shape}; install or convert the model again"
            )
    return found
