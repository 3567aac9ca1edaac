"""Networks in closed form, so that everything around them can be tested without weights."""

import cv2
import numpy as np

from focalrt.description import Description
from focalrt.model import Model


class StubNetworks:
    """The previous mask, raised about positive clicks and lowered about negative ones; the Refiner adds the photo."""

    def __init__(self, side=128, radius=5.0, noise=0.0):
        """``noise`` strews changes that no click asked for, the same for the same previous mask."""
        self.side, self.radius, self.refiner_radius, self.threshold, self.noise = side, radius, 5.0, 0.5, noise
        self.description = Description("stub", side, radius, 5.0, 0.5, {}, "not trained", "none")
        self.calls = 0

    def segment(self, image, maps):
        assert image.shape == maps.shape == (3, self.side, self.side)
        assert image.dtype == maps.dtype == np.float32
        self.calls += 1
        previous, positive, negative = (cv2.resize(plane, (256, 256)) for plane in maps)
        logits = 5 * (2 * previous - 1) + 200 * cv2.GaussianBlur(positive - negative, (0, 0), 14)
        if self.noise:
            rng = np.random.default_rng(int(previous.sum()))
            logits += self.noise * cv2.GaussianBlur(rng.standard_normal((256, 256)).astype(np.float32), (0, 0), 6) * 20
        context = np.broadcast_to(image.mean(), (32, self.side // 4, self.side // 4)).astype(np.float32)
        return logits.astype(np.float32), context

    def refine(self, image, disks, context, logits):
        assert image.shape == (3, 256, 256)
        assert disks.shape == (2, 256, 256)
        assert logits.shape == (256, 256)
        assert context.shape == (32, self.side // 4, self.side // 4)
        return logits + 0.5 * (image.mean(axis=0) - 0.5)


def stub_model(**options):
    """A :class:`focalrt.Model` around the stub."""
    return Model(StubNetworks(**options))
