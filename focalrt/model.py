"""Models: loaded, and put to work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from copy import copy
from functools import cache
from typing import Any

from numpy.typing import NDArray

from . import checks
from .description import Description
from .errors import ArgumentTypeError
from .merge import Policy
from .networks import FocalClickNetworks, RitmNetwork, load_networks
from .session import Result, Session
from .zoo import find


class Model:
    """A model's networks in memory. Any number of sessions, in any threads, may share one.

    A copy shares the networks; a pickle tells folder, threads and threshold, and loads them anew where it is read.
    """

    def __init__(self, networks: FocalClickNetworks | RitmNetwork) -> None:
        """Wraps loaded networks; :func:`load` is the usual way to a model."""
        self._networks = networks

    @property
    def description(self) -> Description:
        """What ``model.json`` says: variant, sizes, radii, the file's threshold, training, licence."""
        return self._networks.description

    @property
    def threshold(self) -> float:
        """The probability above which a pixel is object: the file's, or that of :meth:`at_threshold`."""
        return self._networks.threshold

    def session(self, image: NDArray[Any], mask: NDArray[Any] | None = None, *, merge: Policy = "auto") -> Session:
        """A session on one image.

        image: RGB, uint8 (H, W, 3); not copied where it is C-contiguous, so leave it unchanged meanwhile.
        mask: bool (H, W), or uint8 with 0 and 1 or 0 and 255: an earlier mask to correct. None or empty: from scratch.
        merge: when Progressive Merge lets a click change only the connected region that holds it. ``auto``: always for
        a mask given by hand (here, by ``set_mask`` or ``paint``), from click 11 on from scratch; ``always``; ``never``.
        Raises ArgumentTypeError, ArgumentValueError.
        """
        return Session(self._networks, image, mask, merge=merge)

    def at_threshold(self, threshold: float) -> Model:
        """The same networks in memory, with another probability above which a pixel is object, between 0 and 1.

        Raises ArgumentTypeError, ArgumentValueError.
        """
        networks = copy(self._networks)
        networks.threshold = checks.check_threshold(threshold)
        return Model(networks)

    def __repr__(self) -> str:
        return f"<focalrt.Model {self.description.variant}, threshold {self.threshold:g}>"


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    threads: int | None = None,
    models: str | os.PathLike[str] | None = None,
) -> Model:
    """Loads a model: the default, an installed one by its name, a folder, or the "fast" or the "accurate" one.

    threads: processor threads of one click; None takes every core the process may use, at most 4.
    models: a folder of models to look for names in first, in place of those that the environment variable
    ``FOCALRT_MODELS`` lists. A name that is both an installed model and a folder here is refused: write "./name" for
    the folder. Raises ModelNotFoundError, ModelError, ArgumentTypeError, ArgumentValueError.
    """
    threads = checks.check_threads(threads)
    return Model(load_networks(find(model, models), threads))


@cache
def default_model() -> Model:
    """The default model, loaded once per process."""
    return load()


def segment(
    image: NDArray[Any],
    clicks: Iterable[Iterable[float]],
    mask: NDArray[Any] | None = None,
    *,
    model: Model | None = None,
    view: Iterable[int] | None = None,
    merge: Policy = "auto",
) -> Result:
    """The mask after some clicks, without keeping a session: the same result as the clicks one by one.

    image, mask, merge: as for :meth:`Model.session`. clicks: (x, y) or (x, y, positive), in order, at least one.
    view: as for :meth:`Session.click`, of the first click. model: None takes the default, loaded once and kept.
    All arguments are checked before the networks run. Raises ArgumentTypeError, ArgumentValueError, and ModelError
    where a network fails or does not answer as it declares.
    """
    if model is not None and not isinstance(model, Model):
        raise ArgumentTypeError(f"model: expected what focalrt.load() returns, or None; got {checks.told(model)}")
    session = (model or default_model()).session(image, mask, merge=merge)
    first, *others = checks.check_clicks(clicks, *session.shape)
    result = session.click(*first, view=view)
    for click in others:
        result = session.click(*click)
    return result
