"""The figures of the report, each drawn once for light and once for dark pages.

No text of a user gets into a figure: lines are told apart by :func:`style` and number, and the page has the key.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .record import MOST_CLICKS
from .table import GOOD, Line, mean_and_spread, reached

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f81d6", "#cf6a17", "#2b9a66", "#c74a93", "#8b6be0", "#a58300", "#d64541", "#78838f")
DASHES = ((), (5.0, 1.5), (1.5, 1.5), (6.0, 1.5, 1.5, 1.5))  # lengths on, off, in widths of the line
CLICKS, TICKS = range(1, MOST_CLICKS + 1), range(0, MOST_CLICKS + 1, 5)
PERCENTILES = (5, 25, 50, 75, 95)  # of the bars
BRIEFEST = 0.01  # milliseconds; the axis is logarithmic


class Ink(NamedTuple):
    """Colours of one kind of page."""

    text: str
    grid: str


LIGHT, DARK = Ink("#24292f", "#d8dee4"), Ink("#e6e8eb", "#3a4149")


class Picture(NamedTuple):
    """A figure as SVG in two data URIs."""

    title: str
    light: str
    dark: str


class Style(NamedTuple):
    """How the line of that number is drawn in every figure, and in the key on the page."""

    colour: str
    dashes: tuple[float, ...]


def style(number: int) -> Style:
    """32 of them, neighbours different in colour and in dashes."""
    return Style(COLOURS[number % len(COLOURS)], DASHES[(number + number // len(COLOURS)) % len(DASHES)])


def pictures(compared: Sequence[Line]) -> list[Picture]:
    """All figures. Raises ImportError where matplotlib is missing."""
    wanted = {
        "Mean IoU after clicks": iou_curves,
        "Mean boundary IoU after clicks": boundary_curves,
        f"Samples at {GOOD} % IoU after so many clicks": shares_reached,
        "Milliseconds a click": click_times,
    }
    return [Picture(title, drawn(draw, compared, LIGHT), drawn(draw, compared, DARK)) for title, draw in wanted.items()]


def drawn(draw: Callable[[Axes, Sequence[Line]], None], compared: Sequence[Line], ink: Ink) -> str:
    """One figure as a data URI of SVG, with a transparent ground."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    draw(axes, compared)
    axes.tick_params(which="both", colors=ink.text, labelsize=10)
    axes.xaxis.label.set(color=ink.text, size=10.5)
    axes.yaxis.label.set(color=ink.text, size=10.5)
    axes.grid(color=ink.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(color=ink.text, visible=side in ("left", "bottom"))
    svg = BytesIO()
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(svg.getvalue()).decode()}"


def iou_curves(axes: Axes, compared: Sequence[Line]) -> None:
    """Mean IoU after 1 to 20 clicks, and before the first where some began with a mask."""
    masks = any(summary.before for line in compared for summary in line.summaries)
    for number, line in enumerate(compared):
        before = {0: [summary.before for summary in line.summaries]} if masks else {}
        curve(axes, style(number), before | {k: [summary.iou[k] for summary in line.summaries] for k in CLICKS})
    axes.set(xlabel="clicks", ylabel="mean IoU", xticks=TICKS)


def boundary_curves(axes: Axes, compared: Sequence[Line]) -> None:
    """Mean boundary IoU after 1 to 20 clicks."""
    for number, line in enumerate(compared):
        curve(axes, style(number), {k: [summary.boundary[k] for summary in line.summaries] for k in CLICKS})
    axes.set(xlabel="clicks", ylabel="mean boundary IoU", xticks=TICKS)


def curve(axes: Axes, look: Style, points: dict[int, list[float]]) -> None:
    """The mean over seeds against clicks, in a band of the spread between them."""
    middle, spread = np.array([mean_and_spread(values) for values in points.values()]).T
    axes.plot(list(points), middle, color=look.colour, linestyle=(0, look.dashes or None), linewidth=2)
    axes.fill_between(list(points), middle - spread, middle + spread, color=look.colour, alpha=0.2, linewidth=0)


def shares_reached(axes: Axes, compared: Sequence[Line]) -> None:
    """Share of the samples, of all seeds together, whose NoC90 is at most k."""
    clicks = np.arange(MOST_CLICKS + 1)
    for number, line in enumerate(compared):
        counted = [reached(record, GOOD) or np.inf for record in line.records if record.error is None]
        if counted:
            shares = 100 * (np.array(counted)[:, None] <= clicks).mean(axis=0)
            colour, dashes = style(number)
            axes.step(clicks, shares, where="post", color=colour, linestyle=(0, dashes or None), linewidth=2)
    axes.set(xlabel="clicks", ylabel=f"samples at {GOOD} % IoU, %", xticks=TICKS, ylim=(0, 103))


def click_times(axes: Axes, compared: Sequence[Line]) -> None:
    """Median, quartiles and 5th to 95th percentile of the time of a click, over all clicks of all samples."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    for number, line in enumerate(compared):
        spent = [move.milliseconds for record in line.records if record.error is None for move in record.moves]
        if spent:
            low, left, middle, right, high = np.maximum(np.percentile(spent, PERCENTILES), BRIEFEST)
            colour = style(number).colour
            axes.plot([low, high], [number, number], color=colour, linewidth=1.5)
            axes.barh(number, right - left, left=left, height=0.56, color=colour, alpha=0.45)
            axes.plot([middle, middle], [number - 0.28, number + 0.28], color=colour, linewidth=2.5)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(
        xlabel="milliseconds",
        yticks=range(len(compared)),
        yticklabels=[str(number + 1) for number in range(len(compared))],
        ylim=(len(compared) - 0.4, -0.6),
    )
