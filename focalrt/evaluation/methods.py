"""What can be evaluated: anything that has focalrt's own surface."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Session(Protocol):
    """One image and its mask; :class:`focalrt.Session` is one."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask now, bool (H, W), or uint8 with 0 and 1 or 0 and 255; may change in place with the next click."""

    def click(self, x: int, y: int, positive: bool) -> Any:
        """A click at a pixel, and what follows from it."""


class Method(Protocol):
    """Whatever turns clicks into masks; :class:`focalrt.Model` is one.

    One whose records are to be kept also has ``digest``, a text that is another one whenever its masks may be others:
    a version, or a digest of its parameters.
    """

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> Session:
        """A session on one image, from an earlier mask or from scratch."""
