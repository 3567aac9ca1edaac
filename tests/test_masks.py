"""Masks as run-length codes and id maps: round trips, the field's own encoders and decoders, and hostile input.

Judges: pycocotools for COCO, byte for byte; label-studio-sdk's converter where it is installed, and sequences that it
wrote, for Label Studio; for CVAT the definition in its SDK's documentation, read off the dense mask pixel by pixel.
"""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import masks, masks_of, shapes

from focalrt import masks as formats
from focalrt.errors import ArgumentTypeError, ArgumentValueError
from focalrt.geometry import Box
from focalrt.masks.columns import transposed
from focalrt.runs import Runs

REFUSED = (ArgumentTypeError, ArgumentValueError)

SHAPES = {
    "one pixel, set": [[1]],
    "one pixel, empty": [[0]],
    "empty": [[0, 0, 0], [0, 0, 0]],
    "full": [[1, 1, 1], [1, 1, 1]],
    "a row": [[0, 1, 1, 0, 1]],
    "a column": [[1], [0], [1], [1]],
    "corners that touch": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "corners that touch, the other way": [[0, 0, 1], [0, 1, 0], [1, 0, 0]],
    "a hole": [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
    "a hole that touches the outside": [[1, 1, 1], [1, 0, 1], [1, 1, 0]],
    "from the end of one row to the start of the next": [[0, 0, 1], [1, 0, 0], [0, 1, 1], [1, 1, 1], [1, 0, 0]],
}
by_shape = pytest.mark.parametrize("name", SHAPES)


def shape_of(name):
    return np.array(SHAPES[name], np.bool_)


def dense(runs, shape):
    return runs.to_mask(Box(0, 0, shape[1], shape[0]))


def large_mask():
    """A disc with a hole, of more pixels than fit in 16 bits: 500 x 700."""
    y, x = np.mgrid[:500, :700]
    distance = np.hypot(y - 240, x - 300)
    return (distance < 231) & (distance > 40)


# ------------------------------------------------------------ rows and columns


@given(masks())
def test_transposing_runs_transposes_the_mask(mask):
    assert transposed(Runs.from_mask(mask)) == Runs.from_mask(mask.T)


def test_transposing_far_from_the_corner_allocates_by_the_box():
    far = Runs(np.array([[7, 2**30, 2**30 + 3]], np.int32))
    assert transposed(far).spans.tolist() == [[2**30 + k, 7, 8] for k in range(3)]


def test_more_runs_than_memory_is_meant_for_are_refused():
    rows = np.arange(0, 40_000, 2, dtype=np.int32)
    stripes = Runs(np.stack([rows, np.zeros_like(rows), np.full_like(rows, 20_000)], axis=1))
    with pytest.raises(ArgumentValueError, match="at most 16777216 runs"):
        formats.to_coco(stripes, 40_000, 20_000)


# ------------------------------------------------------------ COCO


def assert_is_coco(mask):
    """What pycocotools writes, area and box included, and the way back."""
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, of the eval extra, judges COCO's formats")
    height, width = mask.shape
    runs = Runs.from_mask(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = formats.to_coco(runs, height, width)
    assert ours == {"size": theirs["size"], "counts": theirs["counts"].decode()}
    counts = formats.to_coco_counts(runs, height, width)
    uncompressed = {"size": [height, width], "counts": counts}
    assert coco.frPyObjects(uncompressed, height, width) == theirs
    np.testing.assert_array_equal(coco.decode(ours).astype(np.bool_), mask)
    assert formats.from_coco(ours) == formats.from_coco(theirs) == formats.from_coco(uncompressed) == runs
    annotation = formats.coco_annotation(runs, height, width)
    assert annotation == {
        "segmentation": ours,
        "bbox": coco.toBbox(theirs).tolist(),
        "area": int(coco.area(theirs)),
        "iscrowd": 0,
    }


@given(masks())
def test_coco_is_what_pycocotools_writes(mask):
    assert_is_coco(mask)


@by_shape
def test_coco_of_a_special_shape(name):
    assert_is_coco(shape_of(name))


def test_coco_of_a_large_mask():
    assert_is_coco(large_mask())


@given(shapes.flatmap(lambda shape: st.tuples(masks_of(shape), masks_of(shape))))
def test_coco_masks_overlap_as_they_should(pair):
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, of the eval extra, judges COCO's formats")
    ours = [formats.to_coco(Runs.from_mask(mask), *mask.shape) for mask in pair]
    union = np.count_nonzero(pair[0] | pair[1])
    expected = np.count_nonzero(pair[0] & pair[1]) / union if union else 0
    assert coco.iou(ours[:1], ours[1:], [0]).item() == pytest.approx(expected)


def test_coco_counts_may_be_any_whole_numbers_that_fill_the_size():
    expected = Runs(np.array([[0, 1, 2], [1, 1, 2]], np.int32))
    for counts in ([2, 2], (2, 2, 0), [0, 0, 2, 1, 0, 1], np.array([2, 2], np.uint8), [2.0, 2.0], "22", b"22"):
        assert formats.from_coco({"size": (2, 2), "counts": counts}) == expected


@given(st.lists(st.integers(0, 2**29 - 1), min_size=1, max_size=40))
def test_strings_of_counts_are_those_of_pycocotools(counts):
    """Up to six characters a count: pycocotools writes beyond its buffer for larger ones, and the process may abort."""
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, of the eval extra, judges COCO's formats")
    from focalrt.masks.coco import compressed, decompressed

    theirs = coco.frPyObjects({"size": [1, 1], "counts": counts}, 1, 1)["counts"]
    assert compressed(np.array(counts)).encode() == theirs
    assert decompressed(theirs, "counts").tolist() == counts


HOSTILE_RLE = {
    "none": None,
    "a list": [1, 2],
    "no size": {"counts": [4]},
    "no counts": {"size": [2, 2]},
    "a size of one": {"size": [4], "counts": [4]},
    "a size of text": {"size": "22", "counts": [4]},
    "a size of floats": {"size": [2.0, 2.0], "counts": [4]},
    "a size of bools": {"size": [True, True], "counts": [1]},
    "no pixels": {"size": [0, 2], "counts": [0]},
    "a negative size": {"size": [-2, -2], "counts": [4]},
    "a huge size": {"size": [10**9, 10**9], "counts": [0, 10**18]},
    "an endless size": {"size": [10**400, 1], "counts": [1]},
    "too many pixels": {"size": [2**20, 2**20], "counts": [0, 2**40]},
    "too few counts": {"size": [2, 2], "counts": [1, 2]},
    "counts that overrun": {"size": [2, 2], "counts": [1, 2, 2]},
    "one count that overruns": {"size": [2, 2], "counts": [2**62, 2**62, 4]},
    "a negative count": {"size": [2, 2], "counts": [5, -1]},
    "a fraction": {"size": [2, 2], "counts": [1.5, 2.5]},
    "not a number": {"size": [2, 2], "counts": [float("nan"), 4]},
    "infinity": {"size": [2, 2], "counts": [float("inf")]},
    "an endless count": {"size": [2, 2], "counts": [10**400]},
    "nested counts": {"size": [2, 2], "counts": [[1, 3]]},
    "ragged counts": {"size": [2, 2], "counts": [[1], 3]},
    "deep counts": {"size": [2, 2], "counts": [[[[[[[[1]]]]]]]]},
    "counts of text": {"size": [2, 2], "counts": ["1", "3"]},
    "counts of none": {"size": [2, 2], "counts": [None]},
    "a dict of counts": {"size": [2, 2], "counts": {"a": 1}},
    "counts without end": {"size": [2, 2], "counts": itertools.repeat(1)},
    "a number for counts": {"size": [2, 2], "counts": 4},
    "an empty list": {"size": [2, 2], "counts": []},
    "an empty string": {"size": [2, 2], "counts": ""},
    "a string cut off": {"size": [2, 2], "counts": "1o"},
    "a string that overruns": {"size": [2, 2], "counts": "9"},
    "a string below the alphabet": {"size": [2, 2], "counts": "1/"},
    "a string above the alphabet": {"size": [2, 2], "counts": "1p"},
    "a string beyond ASCII": {"size": [2, 2], "counts": "1\N{SNOWMAN}"},
    "bytes beyond ASCII": {"size": [2, 2], "counts": b"\xff"},
    "a count of many characters": {"size": [2, 2], "counts": "o" * 100 + "0"},
    "a negative count, compressed": {"size": [2, 2], "counts": "O"},
}


@pytest.mark.parametrize("name", HOSTILE_RLE)
def test_other_than_coco_is_refused_with_a_sentence(name):
    with pytest.raises(REFUSED, match="expected"):
        formats.from_coco(HOSTILE_RLE[name])


@given(st.binary(max_size=40), st.integers(1, 9), st.integers(1, 9))
def test_any_bytes_are_a_mask_or_refused(counts, height, width):
    try:
        runs = formats.from_coco({"size": [height, width], "counts": counts})
    except REFUSED:
        return
    assert formats.from_coco(formats.to_coco(runs, height, width)) == runs


# ------------------------------------------------------------ CVAT


def cvat_points(mask):
    """``points`` read off the dense mask: equal pixels of the box counted in turn, off the object first."""
    rows, columns = np.nonzero(mask)
    left, top, right, bottom = (columns.min(), rows.min(), columns.max(), rows.max()) if len(rows) else (0, 0, 0, 0)
    inside = mask[top : bottom + 1, left : right + 1].ravel().tolist()
    counts = [len(list(pixels)) for _, pixels in itertools.groupby(inside)]
    return [*([0] if inside[0] else []), *counts, left, top, right, bottom]


@given(masks())
def test_cvat_counts_the_pixels_of_the_box(mask):
    points = formats.to_cvat(Runs.from_mask(mask))
    assert points == cvat_points(mask)
    assert formats.from_cvat(points, *mask.shape) == Runs.from_mask(mask)


@by_shape
def test_cvat_of_a_special_shape(name):
    mask = shape_of(name)
    points = formats.to_cvat(Runs.from_mask(mask))
    assert points == cvat_points(mask)
    assert all(type(number) is int for number in points)
    assert formats.from_cvat([float(number) for number in points], *mask.shape) == Runs.from_mask(mask)


def test_cvat_by_hand():
    ring = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]], np.bool_)
    assert formats.to_cvat(Runs.from_mask(ring)) == [0, 4, 1, 4, 1, 1, 3, 3]


def test_cvat_masks_may_lie_in_a_larger_box():
    assert formats.from_cvat([5, 1, 3, 1, 0, 3, 2], 3, 4) == Runs(np.array([[1, 3, 4]], np.int32))


HOSTILE_POINTS = {
    "none": None,
    "text": "1,0,0,0,0",
    "nothing": [],
    "a box only": [0, 0, 0, 0],
    "a fraction": [0.5, 0.5, 0, 0, 0, 0],
    "not a number": [float("nan"), 0, 0, 0, 0],
    "a negative count": [2, -1, 0, 0, 0, 0],
    "a negative box": [1, -1, 0, -1, 0],
    "a box to the left": [2, 1, 0, 0, 0],
    "a box too wide": [0, 5, 0, 0, 4, 0],
    "a box too high": [0, 4, 0, 0, 0, 3],
    "a huge box": [0, 2**30, 0, 0, 2**29, 0],
    "too few counts": [0, 3, 0, 0, 1, 1],
    "too many counts": [0, 3, 2, 0, 0, 1, 1],
    "an endless count": [10**400, 0, 0, 0, 0],
    "nested": [[0, 4], 0, 0, 1, 1],
}


@pytest.mark.parametrize("name", HOSTILE_POINTS)
def test_other_than_cvat_is_refused_with_a_sentence(name):
    with pytest.raises(REFUSED, match="expected"):
        formats.from_cvat(HOSTILE_POINTS[name], 3, 4)


# ------------------------------------------------------------ Label Studio

WRITTEN_BY_LABEL_STUDIO = {  # label_studio_sdk.converter.brush.mask2rle(255 * mask)
    "one pixel, empty": [0, 0, 0, 4, 57, 27, 252, 96, 0],
    "one pixel, set": [0, 0, 0, 4, 57, 27, 252, 127, 224],
    "a hole": [0, 0, 0, 36, 57, 27, 253, 255, 248, 192, 47, 255, 128],
}


@pytest.mark.parametrize("name", WRITTEN_BY_LABEL_STUDIO)
def test_label_studio_of_a_shape_that_its_converter_wrote(name):
    mask = shape_of(name)
    assert formats.to_label_studio(Runs.from_mask(mask), *mask.shape) == WRITTEN_BY_LABEL_STUDIO[name]
    assert formats.from_label_studio(WRITTEN_BY_LABEL_STUDIO[name], *mask.shape) == Runs.from_mask(mask)


@given(masks())
def test_label_studio_and_back(mask):
    runs = Runs.from_mask(mask)
    assert formats.from_label_studio(formats.to_label_studio(runs, *mask.shape), *mask.shape) == runs


@pytest.mark.parametrize("mask", [*map(shape_of, SHAPES), large_mask()])
def test_label_studio_is_what_its_converter_writes_and_reads(mask):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is no part of any extra")
    ours = formats.to_label_studio(Runs.from_mask(mask), *mask.shape)
    assert ours == brush.mask2rle(mask.astype(np.uint8) * 255)
    if mask.size < 1000:  # its decoder takes seconds for more
        np.testing.assert_array_equal(brush.decode_rle(ours).reshape(*mask.shape, 4)[..., 3], mask * 255)


def packed(values, sizes, tokens):
    """A stream by the definition: header, then (repeated, which size, values), as bytes."""
    bits = f"{values:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    for repeated, size, numbers, length in tokens:
        bits += f"{repeated:b}{size:02b}{length - 1:0{sizes[size]}b}" + "".join(f"{number:08b}" for number in numbers)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)]


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(4))), st.data())
def test_label_studio_streams_of_any_colours_are_their_alpha(image, data):
    """Whatever sizes the writer chose, and lists of values among the repeated ones: its page writes both."""
    image[..., 3] *= image[..., 3] > 100
    values, sizes = image.ravel().tolist(), data.draw(st.permutations([3, 4, 8, 16]))
    tokens, at = [], 0
    while at < len(values):
        size = data.draw(st.integers(0, 3))
        most = min(1 << sizes[size], len(values) - at)
        repeated = data.draw(st.booleans())
        if repeated:
            most = next((n for n in range(most) if values[at + n] != values[at]), most)
        length = data.draw(st.integers(1, most))
        tokens.append((repeated, size, values[at : at + 1] if repeated else values[at : at + length], length))
        at += length
    stream = packed(len(values), sizes, tokens)
    assert formats.from_label_studio(stream, *image.shape[:2]) == Runs.from_mask(image[..., 3] > 0)


HOSTILE_STREAMS = {
    "none": None,
    "text": "abc",
    "nothing": [],
    "a header cut off": [0, 0, 0, 16, 57, 27],
    "a header only": [0, 0, 0, 16, 57, 27, 252],
    "another size": [0, 0, 0, 4, 57, 27, 252, 127, 224],
    "cut off": [0, 0, 0, 16, 57, 27, 252, 96, 19],
    "values of 16 bits": [0, 0, 0, 16, 121, 27, 252, 96, 19, 255, 198, 0],
    "no byte": [0, 0, 0, 16, 57, 27, 252, 96, 19, 256, 198, 0],
    "a negative byte": [0, 0, 0, 16, 57, 27, 252, 96, 19, -1, 198, 0],
    "a fraction": [0, 0, 0, 16, 57, 27, 252, 96, 19, 0.5, 198, 0],
    "nested": [[0, 0, 0, 16], [57, 27, 252, 96]],
    "more values than announced": packed(16, [3, 4, 8, 16], [(1, 3, [255], 17)]),
    "a list cut off": packed(16, [3, 4, 8, 16], [(0, 3, [255] * 15, 16)]),
}


@pytest.mark.parametrize("name", HOSTILE_STREAMS)
def test_other_than_label_studio_is_refused_with_a_sentence(name):
    with pytest.raises(REFUSED, match=r"expected|cut off|more values"):
        formats.from_label_studio(HOSTILE_STREAMS[name], 2, 2)


def test_label_studio_cannot_count_the_values_of_a_huge_image():
    with pytest.raises(ArgumentValueError, match=r"fewer than 2\*\*30 pixels"):
        formats.to_label_studio(Runs.empty(), 2**15, 2**15)


@given(st.lists(st.integers(0, 255), max_size=30))
def test_any_stream_is_a_mask_or_refused(tail):
    try:
        runs = formats.from_label_studio([0, 0, 0, 60, 57, 27, 248 | (tail[0] & 7 if tail else 0), *tail], 3, 5)
    except REFUSED:
        return
    assert formats.from_label_studio(formats.to_label_studio(runs, 3, 5), 3, 5) == runs


# ------------------------------------------------------------ id maps


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]), shapes, elements=st.integers(0, 4)))
def test_id_maps_and_back(ids):
    objects = formats.from_id_map(ids)
    assert list(objects) == [number for number in range(1, 5) if (ids == number).any()]
    for number, runs in objects.items():
        assert runs == Runs.from_mask(ids == number)
    painted = formats.to_id_map(objects, *ids.shape)
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted, ids)


@given(shapes.flatmap(lambda shape: st.lists(masks_of(shape), min_size=1, max_size=4)))
def test_later_objects_lie_above(objects):
    expected = np.zeros(objects[0].shape, np.uint8)
    for number, mask in enumerate(objects, 1):
        expected[mask] = number
    runs = [Runs.from_mask(mask) for mask in objects]
    np.testing.assert_array_equal(formats.to_id_map(runs, *expected.shape), expected)


def test_ids_beyond_a_byte_take_two_and_survive_a_png():
    pixel = Runs(np.array([[0, 1, 2]], np.int32))
    for number, kind in ((255, np.uint8), (256, np.uint16), (65535, np.uint16)):
        ids = formats.to_id_map({number: pixel}, 2, 3)
        assert ids.dtype == kind
        read = cv2.imdecode(cv2.imencode(".png", ids)[1], cv2.IMREAD_UNCHANGED)
        assert formats.from_id_map(read) == {number: pixel}


def test_ids_may_be_left_out():
    ids = np.array([[-1, 255, 7], [7, 0, 0]])
    assert list(formats.from_id_map(ids)) == [-1, 7, 255]
    assert formats.from_id_map(ids, ignore=[255, -1]) == {7: Runs(np.array([[0, 2, 3], [1, 0, 1]], np.int32))}


def test_no_objects_are_background():
    for nothing in ([], {}):
        assert not formats.to_id_map(nothing, 3, 4).any()


NOTHING = Runs.empty()


@pytest.mark.parametrize(
    "objects", [None, "ab", NOTHING, [None], {0: NOTHING}, {65536: NOTHING}, {"a": NOTHING}, {1.5: NOTHING}]
)
def test_other_than_objects_are_refused(objects):
    with pytest.raises(REFUSED, match="expected"):
        formats.to_id_map(objects, 3, 4)


@pytest.mark.parametrize(
    ("number", "error", "came"),
    [
        pytest.param(70000, ArgumentValueError, "int 70000", id="too large"),
        pytest.param(0, ArgumentValueError, "int 0", id="the background"),
        pytest.param(2.5, ArgumentValueError, "float 2.5", id="between two"),
        pytest.param(float("nan"), ArgumentValueError, "float nan", id="no number"),
        pytest.param(10**5000, ArgumentValueError, "int of 16610 bits", id="beyond all numbers"),
        pytest.param("a", ArgumentTypeError, "str 'a'", id="text"),
        pytest.param(None, ArgumentTypeError, "NoneType None", id="None"),
        pytest.param(False, ArgumentTypeError, "bool False", id="False"),
    ],
)
def test_an_id_that_does_not_fit_is_named(number, error, came):
    """By itself: its place among the others means nothing in a dict."""
    with pytest.raises(error, match=f"^objects: expected ids 1 to 65535, whole numbers; got {came}$"):
        formats.to_id_map({4: NOTHING, 2: NOTHING, number: NOTHING}, 3, 4)


def test_ids_may_be_any_whole_numbers():
    """3.0, which JSON may hold, is one, and so are NumPy's."""
    pixel = Runs(np.array([[0, 1, 2]], np.int32))
    for number in (3, 3.0, np.uint8(3), np.float32(3)):
        assert formats.from_id_map(formats.to_id_map({number: pixel}, 2, 3)) == {3: pixel}


@pytest.mark.parametrize(
    "array", [None, [[1]], np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8), np.array("a")]
)
def test_other_than_id_maps_are_refused(array):
    with pytest.raises(REFUSED, match="expected"):
        formats.from_id_map(array)


# ------------------------------------------------------------ sizes and runs, for all of them

WRITERS = [formats.to_coco, formats.to_coco_counts, formats.coco_annotation, formats.to_label_studio]


@pytest.mark.parametrize("write", [*WRITERS, lambda runs, *size: formats.to_id_map([runs], *size)])
def test_runs_must_lie_in_the_image(write):
    runs = Runs.rectangle(Box(1, 2, 3, 4))
    assert write(runs, 4, 3) is not None
    for size in ((3, 3), (4, 2)):
        with pytest.raises(ArgumentValueError, match="expected pixels of the"):
            write(runs, *size)
    with pytest.raises(ArgumentValueError, match="expected pixels of the"):
        write(Runs(runs.spans - np.array([0, 2, 2], np.int32)), 4, 3)
    with pytest.raises(ArgumentTypeError, match="expected Runs"):
        write(np.ones((4, 3), np.bool_), 4, 3)


NO_SIZES = [(0, 3), (3, -1), (2**20 + 1, 1), (2**16, 2**16), (10**400, 1), ("3", 3), (3.0, 3), (True, 3), (None, 3)]
NO_SIZES += [(np.int32(2**20), np.int32(2**20)), (np.uint64(2**20), np.int32(2**20))]  # 0, in 32 bits


@pytest.mark.parametrize("size", NO_SIZES)
def test_sizes_of_no_image_are_refused(size):
    for call in (
        lambda: formats.to_coco(Runs.empty(), *size),
        lambda: formats.from_cvat([1, 0, 0, 0, 0], *size),
        lambda: formats.from_label_studio([0] * 9, *size),
        lambda: formats.to_id_map([], *size),
        lambda: formats.from_polygons([], *size),
    ):
        with pytest.raises(REFUSED, match="expected"):
            call()


@given(masks())
def test_results_are_runs_like_any_other(mask):
    """Sorted, apart and read-only: equal to, and as good as, those of Runs.from_mask."""
    height, width = mask.shape
    runs = Runs.from_mask(mask)
    for found in (
        formats.from_coco(formats.to_coco(runs, height, width)),
        formats.from_cvat(formats.to_cvat(runs), height, width),
        formats.from_label_studio(formats.to_label_studio(runs, height, width), height, width),
        formats.from_polygons(formats.to_polygons(runs, 0), height, width),
        formats.from_id_map(mask.astype(np.uint8)).get(1, Runs.empty()),
    ):
        assert found.spans.dtype == np.int32
        assert not found.spans.flags.writeable
        np.testing.assert_array_equal(found.spans, runs.spans)
        assert found ^ runs == Runs.empty()
