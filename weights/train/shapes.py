"""Made-up silhouettes: following a closed boundary is most of what a click network must learn, whatever it encloses."""

import math

import torch

from .geometry import constant

HARMONICS = (2, 3, 4, 5, 6)


def silhouettes(count, side, generator, device):
    """(count, side, side) bool: wavy stars about a random place, slender ones among them, a third with a hole."""

    def uniform(*shape, low=0.0, high=1.0):
        return low + (high - low) * torch.rand(*shape, generator=generator, device=device)

    along = torch.arange(side, device=device) / side
    centre = uniform(count, 2, 1, low=0.25, high=0.75)
    down, across = (along - centre[:, 0])[:, :, None], (along - centre[:, 1])[:, None, :]
    turn = uniform(count, 1, 1, high=math.pi)
    slender = (uniform(count, 1, 1, high=1.2) * (uniform(count, 1, 1) < 0.5)).exp()
    first = (turn.cos() * down + turn.sin() * across) * slender
    second = turn.cos() * across - turn.sin() * down

    order = constant(HARMONICS, device).view(1, -1, 1, 1)
    waves = uniform(count, len(HARMONICS), 1, 1, low=-0.8, high=0.8) / order
    angle = torch.atan2(first, second)[:, None]
    rim = 1 + (waves * torch.cos(order * angle + uniform(count, len(HARMONICS), 1, 1, high=2 * math.pi))).sum(1)
    reach = uniform(count, 1, 1, low=0.1, high=0.3) * rim.clamp(min=0.15)
    distance = (first.square() + second.square()).sqrt() / reach
    hole = torch.where(uniform(count, 1, 1) < 1 / 3, uniform(count, 1, 1, low=0.4, high=0.8), -1.0)
    return (distance < 1) & (distance >= hole)
