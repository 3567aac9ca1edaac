"""Outlines with the fewest vertices that stay within a tolerance, without a crossing.

A corner of the outline may become a vertex, and, where the tolerance is below 1.5 pixels, the middle of a side. A chord
stands for the chain of points between its ends where all of them lie within the tolerance of it, and where no point of
any ring lies on it or between it and its chain. Then no two chords cross: one would have to enter what lies between the
other and its chain through that chord, and could leave it only by the same way. Nor can a hole, or another part of the
mask, change sides. (The condition is that of de Berg, van Kreveld and Schirra, 1998, for maps.) Chains whose chord
fails are given more vertices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import chords as kernels
from .outlines import Outlines, areas, perimeters

MIDDLES_BELOW = 1.5  # pixels; above, middles of sides save a vertex in thirty and cost four times the time
SPACING = 0.25  # of the tolerance, between corners that are tried first
NEIGHBOURS = 4  # vertices, on either side of where a ring begins, that depend on that
FINEST = 0.125  # pixels; below, every corner is kept


class Points(NamedTuple):
    """What may become a vertex.

    places: float64 (M, 2), x and y in half pixels, ring by ring, the first one of each repeated at its end. roles:
    uint8 (M,), as in the kernels. starts, ends: of each ring.
    """

    places: NDArray[np.float64]
    roles: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


class Chains(NamedTuple):
    """Pieces of rings: their first and last points, and the tolerance of each in half pixels."""

    firsts: NDArray[np.int64]
    lasts: NDArray[np.int64]
    tolerances: NDArray[np.float64]


def simplified(every: Outlines, tolerance: float) -> list[NDArray[np.float64]]:
    """The vertices, (N, 2), of each ring: at least three, the ring within ``tolerance`` pixels of them and they of it.

    No ring is given more than half of its mean width, so that small parts and holes keep their shape. That is less than
    the radius of the largest disc inside, so that no ring can become flat.
    """
    points = points_of(every, middles=tolerance < MIDDLES_BELOW)
    half_widths = np.abs(areas(every)) / perimeters(every)
    tolerances = 2 * np.minimum(tolerance, half_widths)
    points, kept = fewest(points, tolerances)
    order = reading_order(points)
    chains = failing(points, order, chords_of(Chains(points.starts, points.ends, tolerances), kept))
    while len(chains.firsts):
        chains = refined(chains)
        shorten(points.places, points.roles, chains, kept)
        chains = failing(points, order, chords_of(chains, kept))
    kept[points.ends] = False
    vertices = np.flatnonzero(kept)
    return np.split(points.places[vertices] / 2, np.searchsorted(vertices, points.starts[1:]))


def points_of(every: Outlines, middles: bool) -> Points:
    """The corners of all rings, and the middles of their sides where they are asked for."""
    steps = 2 if middles else 1
    ring = np.repeat(np.arange(len(every.first) - 1), np.diff(every.first))
    at = steps * np.arange(len(every.corners)) + ring
    starts, ends = at[every.first[:-1]], at[every.first[1:] - 1] + steps
    places = np.empty((len(every.corners) * steps + len(starts), 2))
    roles = np.full(len(places), kernels.MIDDLE, np.uint8)
    places[at], roles[at] = 2 * every.corners, np.where(every.touching, kernels.MEETING, kernels.CORNER)
    places[ends], roles[ends] = places[starts], roles[starts]
    if middles:
        places[at + 1] = (places[at] + places[at + 2]) / 2
    return Points(places, roles, starts, ends)


def reading_order(points: Points) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of all points y 2**32 + x, ascending, and which they are."""
    keys = points.places[:, 1].astype(np.int64) << 32 | points.places[:, 0].astype(np.int64)
    order = np.argsort(keys)
    return keys[order], order


def thinned(points: Points, tolerances: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The roles with corners passed over that lie closer, along the ring, than a share of the ring's tolerance.

    Of those in one step of that length the last is left. It reaches the next one left within the tolerance.
    """
    steps = np.abs(np.diff(points.places, axis=0, append=points.places[-1:])).sum(axis=1)
    along = np.cumsum(steps) - steps
    lengths = np.repeat(SPACING * tolerances, points.ends - points.starts + 1)
    step = np.floor_divide(along, lengths, where=lengths > 0, out=np.arange(len(along), dtype=np.float64))
    followed = np.diff(step, append=-1) == 0
    return np.where(followed & (points.roles == kernels.CORNER), kernels.PASSED, points.roles).astype(np.uint8)


def shorten(places: NDArray[np.float64], roles: NDArray[np.uint8], chains: Chains, kept: NDArray[np.bool_]) -> None:
    """Marks the fewest points of each chain that its tolerance allows."""
    count = len(places)
    scratch = np.empty(count, np.int64), np.empty(count, np.float64), np.empty(count, np.int64)
    kernels.shorten(places, roles, *chains, *scratch, kept)


def fewest(points: Points, tolerances: NDArray[np.float64]) -> tuple[Points, NDArray[np.bool_]]:
    """The points, turned, and which of them to keep: the fewest that the tolerance of each ring allows."""
    kept = np.zeros(len(points.places), np.bool_)
    kept[points.starts] = kept[points.ends] = True
    shorten(points.places, thinned(points, tolerances), Chains(points.starts, points.ends, tolerances), kept)
    points, kept, about_beginnings = turned(points, kept, tolerances)
    shorten(points.places, thinned(points, tolerances), about_beginnings, kept)
    return points, kept


def turned(
    points: Points, kept: NDArray[np.bool_], tolerances: NDArray[np.float64]
) -> tuple[Points, NDArray[np.bool_], Chains]:
    """Rings that begin at their middle vertex, what is kept of them, and the chains about where they began before.

    A ring's first point was kept whether it makes a good vertex or not, so that is looked at again.
    """
    vertices = np.flatnonzero(kept)
    first, last = np.searchsorted(vertices, points.starts), np.searchsorted(vertices, points.ends)
    middle = first + (last - first) // 2
    lengths, shifts = points.ends - points.starts, vertices[middle] - points.starts
    ring = np.repeat(np.arange(len(lengths)), lengths + 1)
    offset = np.arange(len(ring)) - points.starts[ring]
    source = points.starts[ring] + (offset + shifts[ring]) % lengths[ring]
    chains = Chains(
        vertices[np.maximum(middle, last - NEIGHBOURS)] - shifts,
        vertices[np.minimum(middle, first + NEIGHBOURS)] - shifts + lengths,
        tolerances,
    )
    at = np.arange(len(ring))
    open_again = (chains.firsts[ring] < at) & (at < chains.lasts[ring])
    turned_points = points._replace(places=points.places[source], roles=points.roles[source])
    return turned_points, kept[source] & ~open_again, chains


def chords_of(chains: Chains, kept: NDArray[np.bool_]) -> Chains:
    """What lies between one kept point and the next."""
    vertices = np.flatnonzero(kept)
    first, last = np.searchsorted(vertices, chains.firsts), np.searchsorted(vertices, chains.lasts)
    chain = np.repeat(np.arange(len(first)), last - first)
    chord = np.arange(len(chain)) - (np.cumsum(last - first) - last)[chain]
    return Chains(vertices[chord], vertices[chord + 1], chains.tolerances[chain])


def failing(points: Points, order: tuple[NDArray[np.int64], NDArray[np.int64]], chords: Chains) -> Chains:
    """The chords that could cross something, or meet another with both ends; no exact ones."""
    obstructed = np.empty(len(chords.firsts), np.bool_)
    kernels.obstructed(points.places, chords.firsts, chords.lasts, *order, obstructed)
    joins = np.equal(points.roles[chords.firsts], kernels.MEETING) & (points.roles[chords.lasts] == kernels.MEETING)
    fails = (obstructed | joins) & (chords.tolerances > 0)
    return Chains(chords.firsts[fails], chords.lasts[fails], chords.tolerances[fails])


def refined(chains: Chains) -> Chains:
    """The same with half the tolerance."""
    halves = chains.tolerances / 2
    return chains._replace(tolerances=np.where(halves < 2 * FINEST, 0, halves))
