"""Clicks, IoU, harm and time of every row, and the tables that compare them (SPEC section 6).

Every mean is an exactly rounded sum divided by a count, so no figure depends on the order of the records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import fsum, isnan, nan
from statistics import fmean, stdev
from typing import NamedTuple

from ..errors import EvaluationError
from .record import MOST_CLICKS, Record, Row

TARGETS = (80, 85, 90, 95)  # IoU, %
GOOD = 90  # the target of NoF20 and of the time to the target, %
IOU_AFTER = (1, 2, 3, 5, 10, 20)  # clicks
BOUNDARY_AFTER = (1, 3, 5)
SEEDED = re.compile(r"^human-[0-9]+$")

# ------------------------------------------------------------ one record


def reached(record: Record, target: int) -> int | None:
    """Number, from 1, of the first click after which the IoU is at least ``target`` %; None where 20 do not get there.

    A sample whose mask needed no click counts one, as everywhere in the field.
    """
    if not record.moves and record.before >= target / 100:
        return 1
    ious = [move.iou for move in record.moves[:MOST_CLICKS]]
    return next((number for number, iou in enumerate(ious, 1) if iou >= target / 100), None)


def noc(record: Record, target: int) -> int:
    """Number of clicks to an IoU of ``target`` %, 20 where it is never reached."""
    return reached(record, target) or MOST_CLICKS


def iou_after(record: Record, clicks: int) -> float:
    """IoU after so many clicks; a run that ended earlier keeps its last value."""
    seen = record.moves[:clicks]
    return seen[-1].iou if seen else record.before


def boundary_after(record: Record, clicks: int) -> float:
    """Boundary IoU after so many clicks, at least one, likewise; a mask that needed no click is as good as its IoU."""
    seen = record.moves[:clicks]
    return seen[-1].boundary if seen else record.before


def milliseconds_to(record: Record, target: int) -> float:
    """What the method took for all clicks until the target was reached, or until the end."""
    return fsum(move.milliseconds for move in record.moves[: noc(record, target)])


# ------------------------------------------------------------ one row


@dataclass(frozen=True)
class Summary:
    """What the records of one row amount to. A mean of nothing is NaN.

    samples: records without an error; all means are over them. failed: records with one.
    before: mean IoU of the masks it began with, 0 from scratch. noc: mean number of clicks to an IoU of 80, 85, 90 and
    95 %, by that target. nof: number of samples that do not reach 90 % within 20 clicks. iou, boundary: mean after k
    clicks, by k from 1 to 20.
    harm: mean over all clicks of all samples of the pixels that a click made wrong. harm_share: mean over all clicks of
    those pixels as a share of the clicked object's area, %; a ratio per click, since a ratio of sums would tell of the
    largest objects only. milliseconds: mean over all clicks. milliseconds_to_good: mean over samples of the time until
    90 % or the end.
    """

    samples: int
    failed: int
    before: float
    noc: dict[int, float]
    nof: int
    iou: dict[int, float]
    boundary: dict[int, float]
    harm: float
    harm_share: float
    milliseconds: float
    milliseconds_to_good: float


def summarise(records: Iterable[Record]) -> Summary:
    """The metrics of one row's records, one for every sample, in any order.

    The targets are compared with what was seen: a run stopped at an IoU below 95 % counts as never reaching 95 %.
    Raises EvaluationError for no records, for two of one sample, for more than one row, and for an object of no pixels.
    """
    records = list(records)
    check_row(records)
    counted = [record for record in records if record.error is None]
    clicks = [(record.area, move) for record in counted for move in record.moves[:MOST_CLICKS]]
    until = range(1, MOST_CLICKS + 1)
    return Summary(
        samples=len(counted),
        failed=len(records) - len(counted),
        before=mean(record.before for record in counted),
        noc={target: mean(noc(record, target) for record in counted) for target in TARGETS},
        nof=sum(reached(record, GOOD) is None for record in counted),
        iou={number: mean(iou_after(record, number) for record in counted) for number in until},
        boundary={number: mean(boundary_after(record, number) for record in counted) for number in until},
        harm=mean(move.harm for _, move in clicks),
        harm_share=mean(100 * move.harm / area for area, move in clicks),
        milliseconds=mean(move.milliseconds for _, move in clicks),
        milliseconds_to_good=mean(milliseconds_to(record, GOOD) for record in counted),
    )


def check_row(records: Sequence[Record]) -> None:
    """Raises EvaluationError where these are not the records of one row."""
    if not records:
        raise EvaluationError("no records to summarise; expected one for every sample of a row")
    rows = {record.row for record in records}
    if len(rows) > 1:
        raise EvaluationError(f"expected the records of one row; got {len(rows)}: {sorted(rows)}")
    (row,) = rows
    name, times = max(Counter(record.sample for record in records).items(), key=lambda item: item[1])
    if times > 1:
        raise EvaluationError(f"sample {name!r} has {times} records in the row {tuple(row)}; expected one")
    for record in records:
        if record.error is None and record.area < 1:
            raise EvaluationError(f"sample {record.sample!r}: expected an area of at least 1 pixel; got {record.area}")


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; NaN of nothing."""
    values = list(values)
    return fmean(values) if values else nan


# ------------------------------------------------------------ the lines of a table


class Line(NamedTuple):
    """A row, or the rows that differ in the seed of a human-like clicker only: one line of every table.

    clicks: ``robot``, or ``human, 3 seeds``. records: of all its rows. summaries: one for every row.
    """

    method: str
    merge: str
    clicks: str
    records: tuple[Record, ...]
    summaries: tuple[Summary, ...]


def lines(records: Iterable[Record], rows: Iterable[Row]) -> list[Line]:
    """What is compared, in the order of ``rows``, but all lines of one method and merge beside each other.

    Records of other rows are left aside. Raises EvaluationError for no rows, and for a row without records.
    """
    of_row: dict[Row, list[Record]] = {row: [] for row in rows}
    if not of_row:
        raise EvaluationError("no rows to compare; expected at least one")
    for record in records:
        if record.row in of_row:
            of_row[record.row].append(record)
    for row, found in of_row.items():
        if not found:
            raise EvaluationError(f"no records of the row {tuple(row)}; expected one for every sample")
    return [line(*what, [of_row[row] for row in seeds]) for what, seeds in alike(of_row)]


def alike(rows: Iterable[Row]) -> list[tuple[Row, list[Row]]]:
    """Rows that differ in the seed only, under one without a seed; those of one method and merge follow each other."""
    groups: dict[Row, list[Row]] = {}
    for row in rows:
        groups.setdefault(row._replace(clicks=SEEDED.sub("human", row.clicks)), []).append(row)
    pairs = list(dict.fromkeys(what[:2] for what in groups))
    return sorted(groups.items(), key=lambda group: pairs.index(group[0][:2]))


def line(method: str, merge: str, clicks: str, seeds: Sequence[Sequence[Record]]) -> Line:
    """The line of the records of every seed, or of the one row."""
    if clicks == "human":
        clicks = f"human, {len(seeds)} seed{'s' * (len(seeds) > 1)}"
    records = tuple(record for of_seed in seeds for record in of_seed)
    return Line(method, merge, clicks, records, tuple(map(summarise, seeds)))


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean over seeds and standard deviation between them (n - 1 in the denominator); NaN where there is none."""
    known = [value for value in values if not isnan(value)]
    return mean(known), stdev(known) if len(known) > 1 else nan


def told(values: Sequence[float], decimals: int) -> str:
    """A figure of one seed, or of several with their spread; counts stay whole numbers, a dash is no figure at all."""
    middle, spread = mean_and_spread(values)
    if isnan(middle):
        return "–"
    if not isnan(spread):
        return f"{middle:.{decimals}f} ± {spread:.{decimals}f}"
    return f"{middle:.0f}" if isinstance(values[0], int) else f"{middle:.{decimals}f}"


def span(values: Sequence[int]) -> str:
    """A number of samples, or from the least to the most of several seeds."""
    least, most = min(values), max(values)
    return f"{least}" if least == most else f"{least} to {most}"


# ------------------------------------------------------------ tables


class Column(NamedTuple):
    """One figure of every line."""

    heading: str
    figure: Callable[[Summary], float]
    decimals: int


def noc_at(target: int, summary: Summary) -> float:
    """Mean number of clicks to that IoU."""
    return summary.noc[target]


def mean_iou(clicks: int, summary: Summary) -> float:
    """Mean IoU after so many clicks."""
    return summary.iou[clicks]


def mean_boundary(clicks: int, summary: Summary) -> float:
    """Mean boundary IoU after so many clicks."""
    return summary.boundary[clicks]


BEFORE = Column("IoU before", lambda summary: summary.before, 3)
SCORES = (
    *(Column(f"NoC{target}", partial(noc_at, target), 2) for target in TARGETS),
    Column("NoF20", lambda summary: summary.nof if summary.samples else nan, 1),
    *(Column(f"IoU@{clicks}", partial(mean_iou, clicks), 3) for clicks in IOU_AFTER),
    *(Column(f"BIoU@{clicks}", partial(mean_boundary, clicks), 3) for clicks in BOUNDARY_AFTER),
    Column("harm, px", lambda summary: summary.harm, 1),
    Column("harm, %", lambda summary: summary.harm_share, 2),
)
TIMES = (
    Column("ms a click", lambda summary: summary.milliseconds, 1),
    Column(f"ms to {GOOD} %", lambda summary: summary.milliseconds_to_good, 1),
)
WHAT = ("method", "merge", "clicks")  # the columns that hold text


class Table(NamedTuple):
    """Texts in cells: the first three columns say what was compared, the others hold figures."""

    headings: tuple[str, ...]
    body: list[tuple[str, ...]]

    def markdown(self) -> str:
        """As GitHub's Markdown, with a newline at the end."""
        rules = ["---" if number < len(WHAT) else "---:" for number in range(len(self.headings))]
        return "".join(
            f"| {' | '.join(cells)} |\n" for cells in (self.headings, rules, *(map(literal, row) for row in self.body))
        )


def literal(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"[\\|`*<\[]", r"\\\g<0>", " ".join(text.split()))


def table(compared: Sequence[Line], columns: Sequence[Column]) -> Table:
    """The figures of every line, after how many samples they are of."""
    body = [
        (
            line.method,
            line.merge,
            line.clicks,
            span([summary.samples for summary in line.summaries]),
            span([summary.failed for summary in line.summaries]),
            *(told([column.figure(summary) for summary in line.summaries], column.decimals) for column in columns),
        )
        for line in compared
    ]
    return Table((*WHAT, "samples", "failed", *(column.heading for column in columns)), body)


def score_table(compared: Sequence[Line]) -> Table:
    """All that depends on masks only; IoU before only where something began with a mask."""
    masks = any(summary.before > 0 for line in compared for summary in line.summaries)
    return table(compared, (BEFORE, *SCORES) if masks else SCORES)


def time_table(compared: Sequence[Line]) -> Table:
    """Milliseconds, as measured."""
    return table(compared, TIMES)


def scores(records: Iterable[Record], rows: Iterable[Row]) -> str:
    """:func:`score_table` as Markdown: the same for every machine and order of the records. Raises EvaluationError."""
    return score_table(lines(records, rows)).markdown()


def times(records: Iterable[Record], rows: Iterable[Row]) -> str:
    """:func:`time_table` as Markdown. Raises EvaluationError."""
    return time_table(lines(records, rows)).markdown()
