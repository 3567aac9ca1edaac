"""Records to figures: every metric by hand, the tables, and the page that tells of a run."""

import base64
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from math import isnan, nextafter
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from strategies import seeds

import focalrt
from focalrt import ArgumentValueError, EvaluationError, MissingExtraError
from focalrt.evaluation import figures
from focalrt.evaluation.record import Move, Record, Row
from focalrt.evaluation.report import Worst, environment, truth_and_mask, worst_records, write_report
from focalrt.evaluation.table import (
    TARGETS,
    boundary_after,
    iou_after,
    lines,
    milliseconds_to,
    noc,
    reached,
    score_table,
    scores,
    summarise,
    times,
)
from focalrt.overlay import NEGATIVE, POSITIVE

ROBOT = Row("net", "auto", "robot")
HUMANS = [Row("net", "auto", f"human-{seed}") for seed in range(3)]
OTHER = Row("net", "never", "robot")


def move(iou, boundary=0.5, harm=0, milliseconds=1.0, x=0, y=0, positive=True):
    return Move(x, y, positive, iou, boundary, harm, milliseconds)


def record(ious, row=ROBOT, sample="a", area=100, before=0.0):
    """A record of which only the IoU after each click matters."""
    return Record(row, sample, area, before, tuple(move(iou) for iou in ious))


def failure(row=ROBOT, sample="broken"):
    return Record(row, sample, error="ImageFileError: no image")


# ------------------------------------------------------------ clicks to a target


@pytest.mark.parametrize(
    ("ious", "clicks"),
    [
        pytest.param([0.79, 0.80, 0.90, 0.95], [2, 3, 3, 4], id="exactly at the target counts, once for two targets"),
        pytest.param([0.99], [1, 1, 1, 1], id="all at once"),
        pytest.param(
            [nextafter(0.8, 0), nextafter(0.85, 0), nextafter(0.9, 0), 0.94], [2, 3, 4, None], id="just below"
        ),
        pytest.param([0.91, 0.5, 0.96], [1, 1, 1, 3], id="the first time counts, later losses or not"),
        pytest.param([0.5] * 19 + [0.9], [20, 20, 20, None], id="by the last click"),
        pytest.param([0.5] * 20 + [0.99], [None, None, None, None], id="by a click too many"),
        pytest.param([0.7, 0.6], [None, None, None, None], id="ended early, never there"),
    ],
)
def test_clicks_to_each_target(ious, clicks):
    one = record(ious)
    assert [reached(one, target) for target in TARGETS] == clicks
    assert [noc(one, target) for target in TARGETS] == [20 if number is None else number for number in clicks]
    assert summarise([one]).nof == (clicks[2] is None)


def test_a_mask_that_is_good_before_any_click_counts_one():
    assert noc(record([0.98], before=0.97), 95) == 1
    assert noc(record([0.94, 0.96], before=0.97), 95) == 2
    assert noc(record([], before=1.0), 95) == 1


def test_a_mask_that_got_no_click_and_is_not_good_is_never_there():
    assert reached(record([], before=0.9), 90) == 1
    assert reached(record([], before=0.89), 90) is None


# ------------------------------------------------------------ means


def test_every_figure_by_hand():
    first = Record(ROBOT, "a", 100, 0.5, (move(0.9, 0.7, 10, 10.0), move(0.96, 0.8, 0, 20.0)))
    second = Record(ROBOT, "b", 1000, 0.25, (move(0.25, 0.1, 5, 60.0),))
    found = summarise([first, second, failure()])
    assert (found.samples, found.failed) == (2, 1)
    assert found.before == 0.375
    assert found.noc == {80: 10.5, 85: 10.5, 90: 10.5, 95: 11.0}
    assert found.nof == 1
    assert found.iou[1] == pytest.approx((0.9 + 0.25) / 2)
    assert {found.iou[clicks] for clicks in range(2, 21)} == {(0.96 + 0.25) / 2}
    assert found.boundary[1] == pytest.approx(0.4)
    assert {found.boundary[clicks] for clicks in range(2, 21)} == {(0.8 + 0.1) / 2}
    assert found.harm == 5  # (10 + 0 + 5) / 3
    assert found.harm_share == pytest.approx(3.5)  # (10 % + 0 % + 0.5 %) / 3, not 15 / 1100
    assert found.milliseconds == 30
    assert found.milliseconds_to_good == 35  # 10, reached at once; 60, the whole run


def test_clicks_beyond_the_twentieth_count_in_nothing():
    twenty = Record(ROBOT, "a", 100, 0.0, tuple(move(0.5) for _ in range(20)))
    more = replace(twenty, moves=(*twenty.moves, move(1.0, 1.0, 99, 1000.0)))
    assert summarise([more]) == summarise([twenty])


def test_a_run_that_ended_earlier_keeps_its_last_value():
    one = Record(ROBOT, "a", 100, 0.1, (move(0.7, 0.4), move(0.6, 0.3)))
    assert [iou_after(one, clicks) for clicks in (1, 2, 3, 20)] == [0.7, 0.6, 0.6, 0.6]
    assert [boundary_after(one, clicks) for clicks in (1, 2, 3, 20)] == [0.4, 0.3, 0.3, 0.3]


def test_a_sample_that_needed_no_click_counts_in_the_means_of_samples_only():
    perfect, clicked = record([], before=1.0), record([0.5], sample="b", before=0.5)
    found = summarise([perfect, clicked])
    assert (found.samples, found.before) == (2, 0.75)
    assert found.iou[1] == 0.75
    assert found.boundary[20] == 0.75
    assert milliseconds_to(perfect, 90) == 0
    assert found.milliseconds == 1
    assert found.milliseconds_to_good == 0.5


def test_means_of_failures_only_are_no_numbers():
    found = summarise([failure()])
    assert (found.samples, found.failed) == (0, 1)
    assert all(map(isnan, [found.noc[90], found.iou[1], found.harm, found.milliseconds, found.milliseconds_to_good]))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        pytest.param([], "no records", id="none"),
        pytest.param([record([0.5]), record([0.6], OTHER)], "records of one row; got 2", id="two rows"),
        pytest.param([record([0.5]), record([0.6])], "sample 'a' has 2 records", id="a sample twice"),
        pytest.param([record([0.5]), failure(sample="a")], "sample 'a' has 2 records", id="a sample failed and not"),
        pytest.param([record([0.5], area=0)], "area of at least 1 pixel; got 0", id="an object of no pixels"),
    ],
)
def test_records_that_are_not_those_of_a_row(records, message):
    with pytest.raises(EvaluationError, match=message):
        summarise(records)


# ------------------------------------------------------------ lines


def test_lines_come_in_the_order_of_the_rows_and_seeds_beside_their_robot():
    rows = [ROBOT, OTHER, HUMANS[1], HUMANS[0], Row("first", "auto", "robot"), Row("net", "auto", "human-x")]
    records = [record([0.5], row) for row in reversed(rows)]
    assert [one[:3] for one in lines(records, rows)] == [
        ("net", "auto", "robot"),
        ("net", "auto", "human, 2 seeds"),
        ("net", "auto", "human-x"),
        ("net", "never", "robot"),
        ("first", "auto", "robot"),
    ]


def test_a_single_seed_is_told_as_one_and_has_no_spread():
    (only,) = lines([record([0.5], HUMANS[0])], [HUMANS[0]])
    assert only.clicks == "human, 1 seed"
    assert "±" not in scores([record([0.5], HUMANS[0])], [HUMANS[0]])


def test_records_of_other_rows_are_left_aside():
    records = [record([0.5]), record([0.9], OTHER), record([0.9], OTHER, "b")]
    assert scores(records, [ROBOT]) == scores(records[:1], [ROBOT])


def test_rows_without_records():
    with pytest.raises(EvaluationError, match="no rows"):
        scores([record([0.5])], [])
    with pytest.raises(EvaluationError, match=r"no records of the row \('net', 'never', 'robot'\)"):
        scores([record([0.5])], [ROBOT, OTHER])


# ------------------------------------------------------------ tables


def cells(markdown):
    """The texts of a Markdown table by heading, a dict for every line."""
    table = [re.findall(r"(?:\\.|[^|\\])+", line) for line in markdown.splitlines()]
    headings, _, *body = [[text.strip() for text in row] for row in table]
    return [dict(zip(headings, row, strict=True)) for row in body]


def test_the_score_table_to_the_letter():
    records = [
        Record(ROBOT, "a", 200, 0.0, (move(0.8125, 0.5, 3), move(0.9375, 0.75, 0))),
        failure(),
    ]
    assert scores(records, [ROBOT]) == (
        "| method | merge | clicks | samples | failed | NoC80 | NoC85 | NoC90 | NoC95 | NoF20 | IoU@1 | IoU@2 | IoU@3 "
        "| IoU@5 | IoU@10 | IoU@20 | BIoU@1 | BIoU@3 | BIoU@5 | harm, px | harm, % |\n"
        f"| --- | --- | --- |{' ---: |' * 18}\n"
        "| net | auto | robot | 1 | 1 | 1.00 | 2.00 | 2.00 | 20.00 | 0 | 0.812 | 0.938 | 0.938 "
        "| 0.938 | 0.938 | 0.938 | 0.500 | 0.750 | 0.750 | 1.5 | 0.75 |\n"
    )


def test_the_time_table_to_the_letter():
    records = [Record(ROBOT, "a", 1, 0.0, (move(0.5, milliseconds=10.0), move(0.9, milliseconds=20.5)))]
    assert times(records, [ROBOT]) == (
        "| method | merge | clicks | samples | failed | ms a click | ms to 90 % |\n"
        "| --- | --- | --- | ---: | ---: | ---: | ---: |\n"
        "| net | auto | robot | 1 | 0 | 15.2 | 30.5 |\n"
    )


def test_seeds_show_their_mean_and_the_spread_between_them():
    """NoC90 of the seeds: (1 + 3) / 2 = 2, (4 + 4) / 2 = 4, 20; their mean 26 / 3, their standard deviation 9.87."""
    clicks = {HUMANS[0]: (1, 3), HUMANS[1]: (4, 4), HUMANS[2]: (None, None)}
    records = [
        record([0.25] * 20 if number is None else [0.25] * (number - 1) + [0.9], row, sample)
        for row, numbers in clicks.items()
        for sample, number in zip("ab", numbers, strict=True)
    ]
    (line,) = cells(scores(records, HUMANS))
    assert line["clicks"] == "human, 3 seeds"
    assert line["samples"] == "2"
    assert line["NoC90"] == "8.67 ± 9.87"
    assert line["NoF20"] == "0.7 ± 1.2"  # 0, 0, 2
    assert line["IoU@1"] == "0.358 ± 0.188"  # (0.9 + 0.25) / 2, 0.25, 0.25


def test_a_seed_of_failures_only_counts_in_no_mean():
    records = [record([0.9], HUMANS[0]), record([0.5, 0.9], HUMANS[1]), failure(HUMANS[2])]
    (line,) = cells(scores(records, HUMANS))
    assert (line["samples"], line["failed"]) == ("0 to 1", "0 to 1")
    assert line["NoC90"] == "1.50 ± 0.71"


def test_a_line_of_failures_only_is_dashes():
    (line,) = cells(scores([failure()], [ROBOT]))
    assert (line["samples"], line["failed"]) == ("0", "1")
    assert {text for heading, text in line.items() if heading[:3] in ("NoC", "NoF", "IoU", "BIo", "har")} == {"–"}


def test_iou_before_is_a_column_where_something_began_with_a_mask():
    scratch, masked = record([0.9]), record([0.9], OTHER, before=0.75)
    assert "IoU before" not in scores([scratch], [ROBOT])
    assert [line["IoU before"] for line in cells(scores([scratch, masked], [ROBOT, OTHER]))] == ["0.000", "0.750"]


@pytest.mark.parametrize("name", ["a|b", "a\nb", "<b>", "`x`", "[a](b)", "*a*", "\\", "a | b", "\\|", "|"])
def test_a_method_of_any_name_stays_in_its_cell(name):
    row = Row(name, "auto", "robot")
    (line,) = cells(scores([record([0.5], row)], [row]))
    shown = line["method"]
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(name.split())
    assert not re.search(r"(?<!\\)(\\\\)*[|<`*\[]", shown)


# ------------------------------------------------------------ laws

fractions = st.one_of(st.floats(0, 1), st.sampled_from([0.8, 0.85, 0.9, 0.95, 1.0]))
pixels = st.integers(0, 10**6)
moves = st.builds(Move, pixels, pixels, st.booleans(), fractions, fractions, pixels, st.floats(0, 1e6))
texts = st.text(max_size=8)
single_records = st.builds(
    Record,
    st.builds(Row, texts, texts, texts),
    texts,
    st.integers(1, 10**6),
    fractions,
    st.lists(moves, max_size=22).map(tuple),
    st.one_of(st.none(), st.none(), texts),
)


def drawn_record(row, sample, random):
    """One of every kind: failed, without clicks, ended early, ended by the cap or beyond it."""
    if random.random() < 0.1:
        return failure(row, sample)
    ious = np.minimum(1, random.uniform(0.5, 1.05, random.integers(0, 23))).tolist()
    moves = tuple(move(iou, random.random(), int(random.integers(99)), random.exponential(50)) for iou in ious)
    return Record(row, sample, int(random.integers(1, 10**6)), random.random(), moves)


@st.composite
def runs(draw):
    """Records and their rows: at least one record a row, none twice."""
    rows = draw(st.lists(st.sampled_from([ROBOT, OTHER, *HUMANS]), min_size=1, unique=True))
    random = np.random.default_rng(draw(seeds))
    samples = "abcdefgh"[: draw(st.integers(1, 8))]
    return [drawn_record(row, sample, random) for row in rows for sample in samples], rows


@given(runs(), st.randoms())
def test_no_figure_depends_on_the_order_of_the_records(run, random):
    records, rows = run
    shuffled = records[:]
    random.shuffle(shuffled)
    assert scores(shuffled, rows) == scores(records, rows)
    assert times(shuffled, rows) == times(records, rows)
    for row in rows:
        assert repr(summarise([one for one in shuffled if one.row == row])) == repr(
            summarise([one for one in records if one.row == row])
        )
        assert worst_records(shuffled, row) == worst_records(records, row)


@given(runs(), seeds)
def test_scores_depend_on_no_time(run, seed):
    records, rows = run
    random = np.random.default_rng(seed)
    retimed = [
        replace(one, moves=tuple(move._replace(milliseconds=random.exponential(50)) for move in one.moves))
        for one in records
    ]
    assert scores(retimed, rows) == scores(records, rows)


@given(single_records)
def test_a_higher_target_takes_no_fewer_clicks(one):
    clicks = [noc(one, target) for target in range(0, 101)]
    assert clicks == sorted(clicks)
    assert clicks[0] == 1 and set(clicks) <= set(range(1, 21))


@given(single_records, st.sampled_from(TARGETS))
def test_clicks_to_a_target_by_definition(one, target):
    seen = [
        clicks for clicks in range(1, 21) if clicks <= max(1, len(one.moves)) and iou_after(one, clicks) >= target / 100
    ]
    assert reached(one, target) == (min(seen) if seen else None)


@given(runs())
def test_means_lie_between_the_least_and_the_most(run):
    records, rows = run
    for row in rows:
        counted = [one for one in records if one.row == row and one.error is None]
        found = summarise([one for one in records if one.row == row])
        assert (found.samples, found.samples + found.failed) == (len(counted), sum(one.row == row for one in records))
        for clicks in range(1, 21) if counted else ():
            values = [iou_after(one, clicks) for one in counted]
            assert min(values) - 1e-12 <= found.iou[clicks] <= max(values) + 1e-12


# ------------------------------------------------------------ records as lines


@given(single_records)
def test_a_record_survives_json(one):
    line = one.to_json()
    assert "\n" not in line
    again = Record.from_json(line)
    assert again == one
    assert again.to_json() == line
    assert type(again.moves) is tuple and all(type(move) is Move for move in again.moves) and type(again.row) is Row


GOOD_LINE = record([0.5, 0.75]).to_json()
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "line",
    [
        *("", " ", "{", "null", "5", "[]", '"text"', "{}", "[[]]", "true"),
        pytest.param(GOOD_LINE[:-7], id="cut short"),
        pytest.param(GOOD_LINE * 2, id="two on a line"),
        pytest.param("[" * 100_000, id="brackets without end"),
        pytest.param('{"a":' * 100_000, id="braces without end"),
        pytest.param(GOOD_LINE.replace("0.75", "NaN"), id="not a number"),
        pytest.param(GOOD_LINE.replace("0.75", "-Infinity"), id="infinite"),
        pytest.param(GOOD_LINE.replace("0.75", "1e999"), id="beyond floats"),
        pytest.param(GOOD_LINE.replace("0.75", "1" + 400 * "0"), id="an integer beyond floats"),
        pytest.param(GOOD_LINE.replace("0.75", "1" + 5000 * "0"), id="an integer beyond what Python reads"),
        pytest.param(GOOD_LINE.replace("0.75", '"0.75"'), id="a text for a number"),
        pytest.param(GOOD_LINE.replace("0.75", "null"), id="nothing for a number"),
        pytest.param(GOOD_LINE.replace("0.75", "-0.75"), id="a negative number"),
        pytest.param(GOOD_LINE.replace('"a"', "7"), id="a number for a name"),
        pytest.param(GOOD_LINE.replace('"robot"', "7"), id="a number in the row"),
        pytest.param(GOOD_LINE.replace(', "robot"', ""), id="half a row"),
        pytest.param(GOOD_LINE.replace("null", "[]"), id="a list for an error"),
        pytest.param(GOOD_LINE.replace('"sample"', '"example"'), id="another key"),
        pytest.param(GOOD_LINE.replace('"sample"', '"__class__"'), id="a name of Python's"),
        pytest.param(GOOD_LINE.replace("[0, 0,", "[0,"), id="a move cut short"),
    ],
)
def test_a_line_that_is_no_record(line):
    assert line != GOOD_LINE
    with pytest.raises(ValueError, match="expected a record as a line of JSON; got "):
        Record.from_json(line)


@settings(max_examples=200)
@given(st.sampled_from(sorted(json.loads(GOOD_LINE))), values)
def test_a_line_with_anything_in_a_field_is_a_record_that_can_be_told_of_or_refused(name, value):
    line = json.dumps(json.loads(GOOD_LINE) | {name: value})
    try:
        one = Record.from_json(line)
    except ValueError:
        return
    assert Record.from_json(one.to_json()) == one
    if one.error is None and one.area >= 1:
        assert scores([one], [one.row]) and times([one], [one.row])


# ------------------------------------------------------------ figures


def axes_of(draw, records, rows):
    axes = Figure().subplots()
    draw(axes, lines(records, rows))
    return axes


def test_the_curve_is_the_mean_iou_and_begins_before_the_first_click_where_there_are_masks():
    scratch, masked = record([0.5, 0.75]), record([0.5, 0.75], before=0.25)
    (line,) = axes_of(figures.iou_curves, [scratch], [ROBOT]).lines
    assert line.get_xdata().tolist() == list(range(1, 21))
    assert line.get_ydata().tolist() == [0.5] + [0.75] * 19
    (line,) = axes_of(figures.iou_curves, [masked], [ROBOT]).lines
    assert line.get_xdata().tolist() == list(range(21))
    assert line.get_ydata().tolist() == [0.25, 0.5] + [0.75] * 19


def test_the_boundary_curve():
    one = Record(ROBOT, "a", 1, 0.0, (move(0.9, 0.25), move(0.9, 0.5)))
    (line,) = axes_of(figures.boundary_curves, [one], [ROBOT]).lines
    assert line.get_ydata().tolist() == [0.25] + [0.5] * 19


def test_the_share_of_samples_that_reached_the_target():
    records = [
        record([0.5, 0.9]),
        record([0.95], sample="b"),
        record([0.5] * 20, sample="c"),
        record([0.5] * 19 + [0.9], sample="d"),
        failure(),
    ]
    (line,) = axes_of(figures.shares_reached, records, [ROBOT]).lines
    assert line.get_xdata().tolist() == list(range(21))
    assert line.get_ydata().tolist() == [0, 25] + [50] * 18 + [75]
    assert line.get_drawstyle() == "steps-post"


def test_the_bar_of_a_line_holds_the_middle_half_of_its_times():
    moves = tuple(move(0.5, milliseconds=float(spent)) for spent in range(1, 22))
    axes = axes_of(figures.click_times, [Record(ROBOT, "a", 1, 0.0, moves), failure(OTHER)], [ROBOT, OTHER])
    (bar,) = axes.patches
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == (6, 16)
    whisker, median = axes.lines
    assert list(whisker.get_xdata()) == [2, 20]
    assert list(median.get_xdata()) == [11, 11]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2"]


def test_lines_are_drawn_apart():
    styles = [figures.style(number) for number in range(32)]
    assert len(set(styles)) == 32
    for one, next_one in pairwise(styles):
        assert one.colour != next_one.colour and one.dashes != next_one.dashes


# ------------------------------------------------------------ pictures of samples


def worst_of(height, width, moves=(), **fields):
    grey = np.full((height, width, 3), 100, np.uint8)
    truth, mask = np.zeros((height, width), np.int8), np.zeros((height, width), np.bool_)
    return Worst(Record(ROBOT, "a", 1, 0.0, tuple(moves)), grey, truth, mask)._replace(**fields)


def pixels_of(uri):
    """RGB of a data URI, as int."""
    kind, content = uri.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((480, 640), (480, 640)),
        ((1280, 320), (640, 160)),
        ((30, 40), (480, 640)),
        ((1, 1), (640, 640)),
        ((1, 2000), (1, 640)),
        ((3000, 1), (640, 1)),
    ],
)
def test_pictures_are_of_one_size(shape, expected):
    for uri in truth_and_mask(worst_of(*shape, [move(0.5)])):
        assert pixels_of(uri).shape[:2] == expected


def test_a_larger_photo_is_averaged():
    """Every fourth column is bright, and every pixel shown covers four."""
    photo = np.zeros((400, 2560, 3), np.uint8)
    photo[:, ::4] = 200
    left, _ = truth_and_mask(worst_of(400, 2560, image=photo))
    np.testing.assert_allclose(pixels_of(left), 50, atol=3)


def test_what_is_drawn_where():
    """A photo of twice the size: the truth on the left half, the mask on the right, the last rows ignored."""
    truth, mask = np.zeros((400, 1280), np.int8), np.zeros((400, 1280), np.bool_)
    truth[:, :640], truth[360:] = 1, -1
    mask[:, 960:] = True
    clicks = [move(0.5, x=200, y=200), move(0.5, x=801, y=101, positive=False)]
    left, right = map(pixels_of, truth_and_mask(worst_of(400, 1280, clicks, truth=truth, mask=mask)))
    grey, tinted, ignored = (100, 100, 100), (55, 109, 169), (160, 160, 160)
    for picture, row, column, colour in [
        (left, 80, 100, tinted),
        (left, 80, 500, grey),
        (left, 190, 500, ignored),
        (right, 40, 60, grey),
        (right, 80, 560, tinted),
        (right, 190, 60, ignored),
        (right, 100, 100, POSITIVE),
        (right, 50, 400, NEGATIVE),
        (right, 30, 319, (255, 196, 0)),
    ]:
        np.testing.assert_allclose(picture[row, column], colour, atol=45)
    assert np.abs(right[90:112, 110:122] - 100).max() > 100  # its number, beside it
    assert np.abs(left[90:112, 110:122] - tinted).max() < 20


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"image": np.zeros((4, 5), np.uint8)}, "image"),
        ({"mask": np.zeros((4, 4), np.bool_)}, "worst.mask"),
        ({"truth": np.zeros((5, 5), np.int8)}, "worst.truth"),
    ],
)
def test_arrays_that_do_not_fit_leave_the_old_page(tmp_path, fields, argument):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ArgumentValueError, match=f"^{argument}: expected"):
        write_report(path, [record([0.5])], [ROBOT], {}, [worst_of(4, 5, **fields)])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_are_left_as_they_were():
    one = worst_of(300, 500, [move(0.5, x=20, y=20)])
    one.truth[:50] = -1
    copies = [array.copy() for array in one[1:]]
    truth_and_mask(one)
    for array, copy in zip(one[1:], copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_worst_end_lowest_then_take_most_clicks_then_come_first_by_name():
    records = [
        record([0.95], sample="good"),
        record([0.5, 0.95], sample="slow"),
        record([0.9, 0.5], sample="a, lost it"),
        record([0.5], sample="b, never there"),
        record([0.5], sample="a, never there"),
        record([0.25], sample="worst"),
        record([0.1], OTHER, "of another row"),
        failure(),
        record([], sample="no click", before=1.0),
    ]
    names = ["worst", "a, never there", "b, never there", "a, lost it", "slow", "good"]
    assert [one.sample for one in worst_records(records, ROBOT)] == names
    assert [one.sample for one in worst_records(records, ROBOT, 2)] == names[:2]


# ------------------------------------------------------------ the page

SCRIPT = "<script>alert(1)</script>"
HOSTILE = Row(f"{SCRIPT}$\\frac{{_\N{CJK UNIFIED IDEOGRAPH-732B}", '"auto', "robot")
ROWS = [ROBOT, *HUMANS, HOSTILE]
FACTS = {"Command": "focalrt eval photos --people 3", "SHA-256 of <net>": "0f" * 32, "": "' onload='alert(1)"}
VOID = {"meta", "img", "source", "br", "link", "line"}


class Page(HTMLParser):
    """Tags with their attributes, the texts of each tag, and whether every tag that opens is closed."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.texts, self.open = [], {}, []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


@pytest.fixture(scope="module")
def run():
    """Records of five rows on six samples, the first of which failed in one row."""
    random = np.random.default_rng(0)
    names = [f"photo/{number}" for number in range(5)] + [SCRIPT]
    records = []
    for row in ROWS:
        for name in names:
            ious = np.sort(random.uniform(0.5, 1, 4))
            spent = tuple(
                move(*iou, int(9 * iou[0]), 10 * iou[0]) for iou in zip(ious.tolist(), ious.tolist(), strict=True)
            )
            records.append(Record(row, name, 50, 0.25, spent))
    records[0] = replace(records[0], error="ValueError: <img src=x onerror=alert(1)>", moves=())
    return records


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    """The page's source; anything that warns while it is made is an error."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    worst = [worst_of(30, 40)._replace(record=one) for one in worst_records(run, ROBOT, 10)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(path, run, ROWS, FACTS, worst)
    assert list(path.parent.iterdir()) == [path]
    return path.read_bytes().decode()


def test_the_page_loads_nothing(page):
    parsed = Page(page)
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"}
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "srcset", "href", "data", "poster", "background"):
            assert attributes.get(name, "#").startswith(("data:image/", "#"))
    assert not re.search(r"url\(|@import", "".join(parsed.texts["style"]))
    policy = {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    }
    assert ("meta", policy) in parsed.tags
    assert not re.search("https?:", page)


def test_hostile_names_are_text(page, run):
    parsed = Page(page)
    texts = "".join(parsed.texts["body"])
    for text in (SCRIPT, HOSTILE.method, run[0].error, *FACTS, *FACTS.values()):
        assert text in texts
    assert "<script" not in page and "<img src=x" not in page


def test_the_page_has_every_figure_in_light_and_dark(page):
    images = [attributes for tag, attributes in Page(page).tags if tag in ("img", "source")]
    drawn = [uri for image in images for uri in (image.get("src"), image.get("srcset")) if uri and "svg" in uri]
    assert len(drawn) == len(set(drawn)) == 8
    for uri in drawn:
        svg = ElementTree.fromstring(base64.b64decode(uri.removeprefix("data:image/svg+xml;base64,")))
        assert svg.tag.endswith("svg")
        for element in svg.iter():
            assert not element.tag.endswith(("script", "image", "foreignObject"))
            assert element.get("{http://www.w3.org/1999/xlink}href", "#").startswith("#")


def test_every_image_says_what_it_shows(page):
    alts = [attributes["alt"] for tag, attributes in Page(page).tags if tag == "img"]
    assert all(alts)
    assert len(set(alts)) == len(alts) == 4 + 2 * 5


def test_the_worst_samples_are_shown_with_their_clicks(page, run):
    parsed = Page(page)
    worst = worst_records(run, ROBOT)
    assert [text.strip() for text in parsed.texts["h3"]] == [one.sample for one in worst]
    for one, text in zip(worst, parsed.texts["article"], strict=True):
        assert [f"{move.iou:.3f}" for move in one.moves] == re.findall(r"\d\.\d{3}", text)[1:]


def test_the_page_holds_the_table_that_markdown_tells(page, run):
    table = score_table(lines(run, ROWS))
    shown = [text.replace("\N{NO-BREAK SPACE}", " ").strip() for text in Page(page).texts["td"]]
    width = len(table.headings)
    for number, row in enumerate(table.body):
        assert shown[number * (width + 1) + 1 : (number + 1) * (width + 1)] == list(row)
    assert Page(page).texts["th"][1 : width + 1] == list(table.headings)


def test_tables_and_key_show_each_line_as_the_figures_draw_it(page, run):
    strokes = [attributes["stroke"] for tag, attributes in Page(page).tags if tag == "line"]
    assert strokes == [figures.style(number).colour for number in range(len(lines(run, ROWS)))] * 3


def test_the_page_says_where_it_ran(page):
    told = environment()
    assert list(told) == ["focalrt", "Python", "NumPy", "Numba", "OpenCV", "ONNX Runtime", "Platform", "Processor"]
    assert Page(page).texts["td"][-8:] == list(told.values())
    assert (told["focalrt"], told["NumPy"]) == (focalrt.__version__, np.__version__)
    assert all(told.values())


def test_a_page_without_pictures_or_failures_says_nothing_of_them(tmp_path):
    write_report(tmp_path / "page.html", [record([0.5])], [ROBOT], {})
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Worst" not in source and "Failed" not in source


def test_a_page_of_failures_only_and_a_name_that_is_no_text(tmp_path):
    """The name is what os.fsdecode makes of one that is not UTF-8."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(tmp_path / "page.html", [failure(sample="caf\udce9")], [ROBOT], {})
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "ImageFileError: no image" in source
    assert "caf\\udce9" in source


def test_the_page_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, [record([0.5])], [ROBOT], {})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("library", ["jinja2", "matplotlib.figure"])
def test_what_to_install_where_a_library_is_missing(tmp_path, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'focalrt\[eval\]'"):
        write_report(tmp_path / "page.html", [record([0.5])], [ROBOT], {})
    assert not list(tmp_path.iterdir())


def test_a_page_changes_nothing_global_and_opens_no_socket(tmp_path):
    """In a process of its own; the libraries are imported first, what they do to a process is theirs."""
    program = """
import json, locale, random, sys, warnings
import cv2, matplotlib.figure, matplotlib.backends.backend_svg, numpy
from focalrt.evaluation.record import Move, Record, Row
from focalrt.evaluation.report import Worst, write_report

def world():
    return dict(
        parameters={name: repr(dict.__getitem__(matplotlib.rcParams, name)) for name in matplotlib.rcParams},
        warnings=repr(warnings.filters),
        cv2_threads=cv2.getNumThreads(),
        numpy_random=repr(numpy.random.get_state()),
        numpy_errors=numpy.geterr(),
        python_random=random.getstate(),
        locale=locale.setlocale(locale.LC_ALL),
    )

row = Row("net", "auto", "robot")
one = Record(row, "a", 1, 0.0, (Move(1, 1, True, 0.5, 0.5, 0, 1.0),))
shape = (8, 8)
worst = Worst(one, numpy.zeros((*shape, 3), numpy.uint8), numpy.ones(shape, numpy.int8), numpy.ones(shape, bool))
told = []
sys.addaudithook(lambda event, arguments: told.append(event))
before = world()
write_report(sys.argv[1], [one], [row], {}, [worst])
after = world()
changed = [name for name in before if before[name] != after[name]]
sockets = [event for event in told if event.startswith("socket.")]
print(json.dumps([changed, "matplotlib.pyplot" in sys.modules, sockets]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "page.html")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(focalrt.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], False, []]
    assert (tmp_path / "page.html").exists()
