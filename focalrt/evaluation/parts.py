"""What each part of a click buys: the same two networks with one part left out, or another in its place.

Each is a :class:`.methods.Method` of its own; the runtime knows nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .. import taps
from ..checks import check_click, check_image, check_mask
from ..geometry import GRID, Box, Click, expand, pixel
from ..kernels.resample import sample_planes
from ..merge import Policy
from ..model import Model
from ..networks import FocalClickNetworks
from ..pipeline import segmentor_input, sigmoid, target_box
from ..runs import Runs
from ..session import Session

SMALL = 1 / 3  # a first mask whose box is smaller than this share of both sides of the image is looked at again
ROOM = 3.0  # sides of the second look, in sides of the first mask's box


class Coarse(FocalClickNetworks):
    """The Segmentor alone: its logits stand for the Refiner's."""

    def refine(
        self,
        image: NDArray[np.float32],
        disks: NDArray[np.float32],
        context: NDArray[np.float32],
        logits: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """The coarse logits (256, 256), as they came."""
        return logits


@dataclass(frozen=True)
class WholeImage:
    """The Segmentor on the whole image at every click, without crops, Refiner or merge (Sofiiuk et al., RITM, 2021)."""

    networks: FocalClickNetworks

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> WholeImageSession:
        """A session on one image, from an earlier mask or from scratch."""
        return WholeImageSession(self.networks, image, mask)


class WholeImageSession:
    """One image; every click replaces the whole mask."""

    def __init__(self, networks: FocalClickNetworks, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> None:
        """image: RGB, uint8 (H, W, 3). mask: bool (H, W), or None."""
        self._networks, self._image = networks, check_image(image)
        height, width, _ = self._image.shape
        self._whole = Box(0, 0, width, height)
        self._mask = Runs.empty() if mask is None else Runs.from_mask(check_mask(mask, height, width))
        self._clicks: list[Click] = []

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask now, bool (H, W)."""
        return self._mask.to_mask(self._whole)

    def click(self, x: int, y: int, positive: bool) -> None:
        """The prediction for all clicks so far becomes the mask."""
        self._clicks.append(check_click(x, y, positive, self._whole.height, self._whole.width))
        crop, maps = segmentor_input(self._networks, self._image, self._mask, self._clicks, self._whole)
        logits, _ = self._networks.segment(crop, maps)
        self._mask = Runs.from_grid(sigmoid(logits), self._networks.threshold, self._whole)


class Recalling:
    """Networks whose Segmentor sees, in place of the previous mask, what was laid before it."""

    def __init__(self, networks: FocalClickNetworks) -> None:
        """Wraps loaded networks, for one session."""
        self._networks = networks
        self.previous: NDArray[np.float32] | None = None  # (side, side); None: the mask itself

    def __getattr__(self, name: str) -> Any:
        return getattr(self._networks, name)

    def segment(
        self, image: NDArray[np.float32], maps: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As :meth:`FocalClickNetworks.segment`, the first of the maps replaced."""
        if self.previous is not None:
            maps = np.concatenate([self.previous[None], maps[1:]])
        return self._networks.segment(image, maps)


@dataclass(frozen=True)
class Soft:
    """The previous probabilities as the Segmentor's input, in place of the mask, as the released code gives them."""

    networks: FocalClickNetworks
    merge: Policy

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> SoftSession:
        """A session on one image, from an earlier mask or from scratch."""
        return SoftSession(self.networks, image, mask, self.merge)


class SoftSession:
    """One image; remembers the probabilities of the last click."""

    def __init__(
        self, networks: FocalClickNetworks, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None, merge: Policy
    ) -> None:
        """As for :class:`focalrt.Session`."""
        self._networks = Recalling(networks)
        self._session = Session(cast(FocalClickNetworks, self._networks), image, mask, merge=merge)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask now, bool (H, W)."""
        return self._session.mask

    def click(self, x: int, y: int, positive: bool) -> None:
        """As :meth:`focalrt.Session.click`; the probabilities are those before any merge."""
        session, (height, width) = self._session, self._session.shape
        if session.clicks:
            clicks = [*session.clicks, Click(x, y, positive)]
            target = target_box(session.runs, clicks, Box(0, 0, width, height), session.shape)
            law = taps.align_corners if self._networks.side == GRID else taps.halved
            rows, columns = (law(length, self._networks.side) for length in (target.height, target.width))
            crop = np.ascontiguousarray(session.probability()[target.slices])
            previous = np.empty((1, self._networks.side, self._networks.side), np.float32)
            sample_planes(crop[None], *rows, *columns, previous)
            self._networks.previous = previous[0]
        session.click(x, y, positive)


@dataclass(frozen=True)
class LookAgain:
    """After a first click that finds something small, clicks again with a view about it."""

    model: Model
    merge: Policy

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> LookAgainSession:
        """A session on one image, from an earlier mask or from scratch."""
        return LookAgainSession(self.model.session(image, mask, merge=self.merge))


class LookAgainSession:
    """A session whose first click may take two looks."""

    def __init__(self, session: Session) -> None:
        """Wraps a new session."""
        self._session = session

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask now, bool (H, W)."""
        return self._session.mask

    def click(self, x: int, y: int, positive: bool) -> None:
        """One click; the first from scratch again, from nearer, where its mask is small."""
        session, (height, width) = self._session, self._session.shape
        scratch = not session.runs
        session.click(x, y, positive)
        box = session.runs.box
        if scratch and box and box.width < SMALL * width and box.height < SMALL * height:
            view = expand(box, ROOM, 1, Box(0, 0, width, height)).union(pixel(y, x))
            session.undo()
            session.click(x, y, positive, view=view)
