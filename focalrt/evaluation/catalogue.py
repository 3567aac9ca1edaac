"""Methods by names that can be typed, and sent to other processes.

    NAME, FOLDER            a model, as for :func:`focalrt.load`
    coarse:MODEL            the same without the Refiner
    whole:MODEL             the Segmentor on the whole image: no crops, no Refiner, no merge
    soft:MODEL              the networks see the previous probabilities in place of the mask
    look-again:MODEL        a small first mask is looked at a second time, from nearer
    published:MODEL         the released code's inference, quirks included
    published-0.49:MODEL    the same with the threshold of its command line
    grabcut                 OpenCV's GrabCut, driven by the clicks
    sam:ENCODER,DECODER     a pair of ONNX files of the SAM family

MODEL is a name or a folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..description import read_description
from ..errors import EvaluationError, ModelNotFoundError
from ..merge import Policy, check_policy
from ..model import Model
from ..networks import FocalClickNetworks, load_networks
from ..zoo import find
from . import parts
from .grabcut import GrabCut
from .methods import Method, Session
from .published import Published
from .sam import Sam

NO_MERGE = "-"  # the policy of a method that has none
KEPT = 4  # opened methods that a process keeps: a run goes through its methods one after the other


@dataclass(frozen=True)
class Merging:
    """A model with a merge policy."""

    model: Model
    merge: Policy

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Session:
        """As :meth:`focalrt.Model.session`."""
        return self.model.session(image, mask, merge=self.merge)


WITH_POLICY: dict[str, Callable[[Path, int, Policy], Method]] = {
    "": lambda folder, threads, merge: Merging(Model(load_networks(folder, threads)), merge),
    "coarse": lambda folder, threads, merge: Merging(Model(parts.Coarse(folder, threads)), merge),
    "soft": lambda folder, threads, merge: parts.Soft(FocalClickNetworks(folder, threads), merge),
    "look-again": lambda folder, threads, merge: parts.LookAgain(Model(load_networks(folder, threads)), merge),
}
WITHOUT_POLICY: dict[str, Callable[[Path, int], Method]] = {
    "whole": lambda folder, threads: parts.WholeImage(FocalClickNetworks(folder, threads)),
    "published": lambda folder, threads: Published(FocalClickNetworks(folder, threads)),
    "published-0.49": lambda folder, threads: Published(FocalClickNetworks(folder, threads), threshold=0.49),
}


def split(name: str) -> tuple[str, str]:
    """The kind of a method ("" for a plain model) and what follows the colon; ``C:/folder`` is a plain model."""
    kind, _, rest = name.partition(":")
    if name == "grabcut" or (rest and kind in (*WITH_POLICY, *WITHOUT_POLICY, "sam")):
        return kind, rest
    return "", name


def has_policy(name: str) -> bool:
    """Whether a merge policy makes a difference to the method."""
    return split(name)[0] in WITH_POLICY


def open_method(name: str, merge: str, threads: int) -> Method:
    """The method of that name.

    merge: ``auto``, ``always`` or ``never``; not looked at where :func:`has_policy` says no.
    Raises ModelNotFoundError, ModelError, ArgumentValueError, EvaluationError.
    """
    kind, rest = split(name)
    if kind == "grabcut":
        return GrabCut()
    if kind == "sam":
        encoder, decoder = pair(rest)
        return Sam(encoder, decoder, threads)
    folder = find(rest)
    if kind in WITHOUT_POLICY:
        return WITHOUT_POLICY[kind](folder, threads)
    return WITH_POLICY[kind](folder, threads, check_policy(merge))


@lru_cache(KEPT)
def kept_method(name: str, merge: str, threads: int, digest: str) -> Method:
    """As :func:`open_method`, warm, and kept for the next call. digest: what :func:`fingerprint` said at the beginning.

    Raises EvaluationError where other networks lie there now, or on this machine, and what clicking raises.
    """
    found = fingerprint(name)
    if found != digest:
        raise EvaluationError(
            f"method {name!r}: its networks are {found} here, and were {digest} where the run began; give every worker "
            "the same files, and begin again where they were replaced meanwhile"
        )
    method = open_method(name, merge, threads)
    warm(method)
    return method


def warm(method: Method) -> None:
    """Clicks on a made-up image, so that no click of a run waits for kernels to compile or load, or for networks to run
    for the first time: that happens once in a process, and would be counted against whichever method comes first.

    From scratch and from a mask, and twice, on the object and off it: each takes a way of its own through a click.
    """
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    mask = np.zeros(image.shape[:2], np.bool_)
    mask[24:72, 32:96] = True
    for first in (None, mask):
        session = method.session(image, first)
        for x, y, positive in ((64, 48, True), (40, 30, False)):
            session.click(x, y, positive)
            np.array(session.mask)  # some make it only when it is asked for


def pair(text: str) -> tuple[Path, Path]:
    """The two files of ``ENCODER,DECODER``."""
    encoder, comma, decoder = text.partition(",")
    if not (encoder and comma and decoder):
        raise EvaluationError(f"method sam:{text}: expected sam:ENCODER.onnx,DECODER.onnx")
    return Path(encoder), Path(decoder)


def fingerprint(name: str) -> str:
    """SHA-256 digests of the networks behind a method and the numbers that go with them, so that a run is not gone on
    with by others; "" for none.

    Raises ModelNotFoundError, ModelError, EvaluationError.
    """
    kind, rest = split(name)
    if kind == "grabcut":
        return ""
    if kind != "sam":
        model = read_description(find(rest))
        numbers = f"radius {model.radius:g}, {model.refiner_radius:g}, threshold {model.threshold:g}"
        return " ".join([*(digest for _, digest in sorted(model.sha256.items())), numbers])
    try:
        return " ".join(sha256(path.read_bytes()).hexdigest() for path in pair(rest))
    except OSError as error:
        raise ModelNotFoundError(f"method {name!r}: {error}") from error
