"""GrabCut and the SAM family as methods; SAM's networks are tiny ones, with outputs in closed form."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from strategies import masks
from tiny_model import network

from focalrt import ArgumentTypeError, ArgumentValueError, ModelError, ModelNotFoundError
from focalrt.evaluation import grabcut
from focalrt.evaluation.grabcut import GrabCut, colour_model, trimap, without_islands
from focalrt.evaluation.robot import Aim
from focalrt.evaluation.sam import MEAN, STD, Decoder, Encoder, Sam, choose, mask_to_logits
from focalrt.geometry import Click
from focalrt.masks.sam_logits import over_image

seeds = st.integers(0, 2**32 - 1)


def disk(height, width, x, y, radius):
    rows, columns = np.ogrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def scene(*disks, height=120, width=160, seed=0):
    """Red disks (x, y, radius) on green, with noise; and where they are."""
    mask = np.any([disk(height, width, *each) for each in disks], axis=0)
    colours = np.where(mask[..., None], (200, 60, 50), (60, 150, 70))
    noisy = colours + np.random.default_rng(seed).normal(0, 12, colours.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), mask


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


# ------------------------------------------------------------ GrabCut


def test_one_positive_click_cuts_a_disk_out():
    image, mask = scene((80, 60, 30))
    session = GrabCut().session(image)
    assert not session.mask.any()
    session.click(85, 55, True)
    assert session.mask.dtype == np.bool_
    assert iou(session.mask, mask) > 0.98


def test_a_disk_of_the_same_colours_elsewhere_waits_for_its_click():
    image, mask = scene((50, 60, 25), (125, 60, 20))
    session = GrabCut().session(image)
    session.click(50, 60, True)
    assert iou(session.mask, disk(120, 160, 50, 60, 25)) > 0.98
    session.click(125, 60, True)
    assert iou(session.mask, mask) > 0.98


def test_a_negative_click_corrects_a_given_mask():
    """Half of what was given is background; the click tells which."""
    image, mask = scene((60, 60, 35))
    given_mask = mask | disk(120, 160, 130, 60, 20)
    session = GrabCut().session(image, given_mask)
    np.testing.assert_array_equal(session.mask, given_mask)
    session.click(130, 60, False)
    assert iou(session.mask, mask) > 0.98


def test_a_negative_click_from_scratch_finds_nothing():
    image, _ = scene((80, 60, 30))
    session = GrabCut().session(image)
    session.click(80, 60, False)
    assert not session.mask.any()
    session.click(80, 20, True)
    assert session.mask[20, 80]
    assert not session.mask[60, 80]


def test_a_large_photo_is_cut_at_a_smaller_size():
    image, mask = scene((700, 500, 300), height=1000, width=1500)
    session = GrabCut().session(image)
    session.click(700, 500, True)
    assert session.mask.shape == (1000, 1500)
    assert iou(session.mask, mask) > 0.98


@given(seeds, st.integers(1, 24), st.integers(1, 24), st.sampled_from(["flat", "noise", "two"]), st.booleans())
def test_any_small_image_is_cut_and_the_last_click_holds(seed, height, width, kind, from_mask):
    random = np.random.default_rng(seed)
    image = {
        "flat": np.full((height, width, 3), random.integers(256)),
        "noise": random.integers(0, 256, (height, width, 3)),
        "two": np.repeat(random.integers(0, 2, (height, width, 1)) * 255, 3, axis=2),
    }[kind].astype(np.uint8)
    given_mask = random.random((height, width)) < random.choice([0, 0.5, 1])
    session = GrabCut().session(image, given_mask if from_mask else None)
    for _ in range(3):
        x, y, positive = int(random.integers(width)), int(random.integers(height)), bool(random.integers(2))
        session.click(x, y, positive)
        assert session.mask.shape == (height, width)
        assert session.mask[y, x] == positive


@pytest.mark.parametrize("shape", [(1, 3000), (2000, 2)])
def test_a_line_is_cut(shape):
    session = GrabCut().session(np.zeros((*shape, 3), np.uint8))
    session.click(shape[1] - 1, shape[0] - 1, True)
    session.click(0, 0, False)
    assert session.mask.shape == shape
    assert not session.mask[0, 0]


def test_a_cut_does_not_depend_on_opencvs_random_numbers_or_spend_them():
    image, _ = scene((60, 50, 30), seed=1)
    found, drawn = [], []
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        session = GrabCut().session(image)
        session.click(60, 50, True)
        found.append(session.mask)
        drawn.append(cv2.randu(np.zeros(4), 0, 1).tolist())
        cv2.setRNGSeed(seed)
        assert drawn[-1] == cv2.randu(np.zeros(4), 0, 1).tolist()
    np.testing.assert_array_equal(*found)
    assert drawn[0] != drawn[1]


def test_what_is_handed_in_stays_as_it_is():
    image, mask = scene((60, 50, 30))
    before = image.copy(), mask.copy()
    session = GrabCut().session(image, mask)
    session.click(5, 5, False)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=60))
def test_a_colour_model_has_the_mean_and_the_covariance_of_its_colours(colours):
    """Law of total variance, but for the least variance that every component has."""
    array = np.array(colours, np.uint8)
    model = colour_model(array)
    assert model.shape == (1, 65)
    weights, means = model[0, :5], model[0, 5:20].reshape(5, 3)
    covariances = model[0, 20:].reshape(5, 3, 3)
    assert weights.sum() == pytest.approx(1)
    mean = weights @ means
    np.testing.assert_allclose(mean, array.mean(axis=0))
    within = np.einsum("k,kij->ij", weights, covariances)
    between = np.einsum("k,ki,kj->ij", weights, means - mean, means - mean)
    expected = np.cov(array.T.astype(float), bias=True) + grabcut.LEAST_VARIANCE * np.eye(3)
    np.testing.assert_allclose(within + between, expected, atol=1e-8)
    for covariance in covariances[weights > 0]:
        assert np.linalg.det(covariance) > 0


def test_a_colour_model_parts_five_colours():
    palette = np.array([[0, 0, 0], [250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 240, 240]], np.uint8)
    model = colour_model(np.repeat(palette, 7, axis=0))
    found = model[0, 5:20].reshape(5, 3)
    assert {tuple(np.rint(mean).astype(int)) for mean in found} == {tuple(colour) for colour in palette.tolist()}
    np.testing.assert_allclose(model[0, :5], 0.2)


def test_certain_disks_reach_half_way_to_the_other_kind():
    plane = trimap(np.zeros((200, 400), np.bool_), [Aim(100, 100, True), Aim(108, 100, False), Aim(300, 100, True)])
    certain = {value: plane == value for value in (cv2.GC_FGD, cv2.GC_BGD)}
    assert np.flatnonzero(certain[cv2.GC_BGD][100]).tolist() == list(range(104, 113))
    left = np.flatnonzero(certain[cv2.GC_FGD][100, :200])
    assert (left.min(), left.max()) == (96, 103)  # 104 is as near to the negative click, which came later
    right = np.flatnonzero(certain[cv2.GC_FGD][100, 200:]) + 200
    assert (right.min(), right.max()) == (288, 312)  # 3 % of 400
    probable = plane == cv2.GC_PR_FGD
    assert np.flatnonzero(probable[100, 200:]).min() + 200 == 270  # 15 % of 200
    assert not probable[[0, -1]].any()


def test_islands_stay_where_they_were_clicked_or_were_before():
    found = np.array([[1, 0, 1, 0, 1, 0, 1]], np.bool_)
    before = np.array([[0, 1, 1, 0, 0, 0, 0]], np.bool_)
    clicks = [Aim(4, 0, True), Aim(0, 0, False), Aim(5, 0, True)]
    np.testing.assert_array_equal(without_islands(found, before, clicks), [[0, 0, 1, 0, 1, 0, 0]])


# ------------------------------------------------------------ tiny SAM networks

MIXED = np.random.default_rng(0).normal(0, 1, (256, 3, 1, 1)).astype(np.float32)  # channels of the tiny embedding
RADII = np.array([300, 60, 90, 120], np.float32)  # of a click's disk in each mask, on the square of 1024
SHARE = 0.3
SCORES = np.array([0.9, 0.3, 0.8, 0.5], np.float32)


def embedding_nodes(source):
    """Means of 16 x 16 pixels, mixed."""
    return [
        helper.make_node("AveragePool", [source], ["means"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Conv", ["means", "mixed"], ["embedding"]),
    ]


def normalised_encoder(side=1024, **declared):
    inputs = {"x": ("batch", 3, side, side)} | declared
    return network(embedding_nodes("x"), inputs, {"embedding": (1, 256, 64, 64)}, {"mixed": MIXED})


def raw_encoder(shape=("image_height", "image_width", 3)):
    """What samexporter puts before the encoder: normalise, channels first, pad."""
    nodes = [
        helper.make_node("Sub", ["input_image", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normal"]),
        helper.make_node("Transpose", ["normal"], ["planes"], perm=[2, 0, 1]),
        helper.make_node("Shape", ["planes"], ["shape"]),
        helper.make_node("Sub", ["full", "shape"], ["missing"]),
        helper.make_node("Concat", ["none", "missing"], ["pads"], axis=0),
        helper.make_node("Pad", ["planes", "pads"], ["padded"]),
        helper.make_node("Unsqueeze", ["padded", "first"], ["x"]),
        *embedding_nodes("x"),
    ]
    constants = {
        "mean": np.array([123.675, 116.28, 103.53], np.float32),
        "std": np.array([58.395, 57.12, 57.375], np.float32),
        "full": np.array([3, 1024, 1024]),
        "none": np.zeros(3, np.int64),
        "first": np.array([0]),
        "mixed": MIXED,
    }
    return network(nodes, {"input_image": shape}, {"embedding": (1, 256, 64, 64)}, constants)


def decoder_inputs(**changed):
    """As export_onnx_model.py declares them."""
    inputs = {
        "image_embeddings": (1, 256, 64, 64),
        "point_coords": (1, "num_points", 2),
        "point_labels": (1, "num_points"),
        "mask_input": (1, 1, 256, 256),
        "has_mask_input": (1,),
        "orig_im_size": (2,),
    } | changed
    return {name: shape for name, shape in inputs.items() if shape is not None}


def disk_decoder(masks=4, **changed):
    """Mask k is a disk of radius RADII[k] about positive clicks, less those about negative ones, plus the mask before.

    The logits fall from +4 at a click to 0 at the radius, and on to -1; SHARE of the logits before is added. The point
    with label -1 counts for nothing.
    """
    nodes = [
        helper.make_node("Gather", ["point_coords", "zero"], ["px"], axis=2),
        helper.make_node("Gather", ["point_coords", "one"], ["py"], axis=2),
        helper.make_node("Reshape", ["px", "column"], ["px1"]),
        helper.make_node("Reshape", ["py", "column"], ["py1"]),
        helper.make_node("Sub", ["gx", "px1"], ["dx"]),
        helper.make_node("Sub", ["gy", "py1"], ["dy"]),
        helper.make_node("Mul", ["dx", "dx"], ["dx2"]),
        helper.make_node("Mul", ["dy", "dy"], ["dy2"]),
        helper.make_node("Add", ["dx2", "dy2"], ["distance2"]),
        helper.make_node("Div", ["distance2", "radii2"], ["ratio"]),
        helper.make_node("Sub", ["top", "ratio"], ["bump"]),  # (masks, points, 256, 256)
        helper.make_node("Max", ["bump", "nothing"], ["positive_bump"]),
        helper.make_node("Reshape", ["point_labels", "column"], ["labels"]),
        helper.make_node("Equal", ["labels", "object"], ["is_object"]),
        helper.make_node("Equal", ["labels", "background"], ["is_background"]),
        helper.make_node("Cast", ["is_object"], ["plus"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["is_background"], ["minus"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["plus", "minus"], ["sign"]),
        helper.make_node("Mul", ["positive_bump", "sign"], ["signed"]),
        helper.make_node("ReduceSum", ["signed", "points"], ["disks"], keepdims=0),
        helper.make_node("Mul", ["disks", "four"], ["high"]),
        helper.make_node("Unsqueeze", ["high", "batch"], ["batched"]),
        helper.make_node("Mul", ["mask_input", "has_mask_input"], ["all_before"]),
        helper.make_node("Mul", ["all_before", "share"], ["before"]),
        helper.make_node("Add", ["batched", "before"], ["sum"]),
        helper.make_node("Sub", ["sum", "base"], ["low_res_masks"]),
        helper.make_node("Identity", ["scores"], ["iou_predictions"]),
    ]
    centres = 4 * np.arange(256, dtype=np.float32) + 1.5  # of a low pixel, on the square
    constants = {
        "gx": centres.reshape(1, 1, 256),
        "gy": centres.reshape(1, 256, 1),
        "column": np.array([-1, 1, 1]),
        "zero": np.array(0),
        "one": np.array(1),
        "radii2": (RADII[:masks] ** 2).reshape(-1, 1, 1, 1),
        "top": np.float32([1.25]),
        "nothing": np.float32([0]),
        "object": np.float32([1]),
        "background": np.float32([0]),
        "points": np.array([1]),
        "four": np.float32([4]),
        "batch": np.array([0]),
        "share": np.float32([SHARE]),
        "base": np.float32([1]),
        "scores": SCORES[None, :masks],
    }
    outputs = {"low_res_masks": (1, masks, 256, 256), "iou_predictions": (1, masks)}
    return network(nodes, decoder_inputs(**changed), outputs, constants)


def probing_decoder(**changed):
    """Tells its inputs in the scores, in the order of the signature; every mask is the mask input."""
    told = [name for name in decoder_inputs(**changed) if name not in ("image_embeddings", "mask_input")]
    nodes = [
        *(helper.make_node("Reshape", [name, "flat"], [f"{name}.flat"]) for name in told),
        helper.make_node("Concat", [f"{name}.flat" for name in told], ["all"], axis=0),
        helper.make_node("Unsqueeze", ["all", "batch"], ["iou_predictions"]),
        helper.make_node("Shape", ["all"], ["count"]),
        helper.make_node("Concat", ["batch1", "count", "low"], ["shape"], axis=0),
        helper.make_node("Expand", ["mask_input", "shape"], ["low_res_masks"]),
    ]
    constants = {
        "flat": np.array([-1]),
        "batch": np.array([0]),
        "batch1": np.array([1]),
        "low": np.array([256, 256]),
    }
    outputs = {"low_res_masks": (1, "n", 256, 256), "iou_predictions": (1, "n")}
    return network(nodes, decoder_inputs(**changed), outputs, constants)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Writes a network to a file of its own."""
    folder = tmp_path_factory.mktemp("sam")

    def write(made):
        path = folder / f"{len(list(folder.iterdir()))}.onnx"
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        return path

    return write


@pytest.fixture(scope="module")
def sam(files):
    return Sam(files(normalised_encoder()), files(disk_decoder()))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# ------------------------------------------------------------ encoders


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (1500, 900), (1024, 1024), (1, 1), (1, 3000)])
def test_both_kinds_of_encoder_see_the_same(files, shape):
    """The raw kind normalises and pads in its graph, as the exporter wrote it; for the other we do."""
    image = noise(*shape)
    ours, theirs = (Encoder(files(made), 1).embed(image) for made in (normalised_encoder(), raw_encoder()))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_photo_fills_the_upper_left_of_the_square(files):
    """200 x 100 of one colour becomes 1024 x 512: 64 x 32 cells of that colour, normalised, and zeros below."""
    colour = np.array([10, 200, 90], np.uint8)
    embedding = Encoder(files(normalised_encoder()), 1).embed(np.broadcast_to(colour, (100, 200, 3)).copy())
    expected = MIXED[:, :, 0, 0] @ ((colour - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375])
    np.testing.assert_allclose(embedding[0, :, :32], np.broadcast_to(expected[:, None, None], (256, 32, 64)), atol=1e-4)
    assert not embedding[0, :, 32:].any()
    assert MEAN.dtype == STD.dtype == np.float32


def count_embeddings(monkeypatch):
    seen = []

    def counting(encoder, image):
        seen.append(image.shape)
        return np.full((1, 256, 64, 64), image.mean(), np.float32)

    monkeypatch.setattr(Encoder, "embed", counting)
    return seen


def test_the_encoder_runs_once_for_an_image_whatever_array_holds_it(files, monkeypatch):
    sam = Sam(files(normalised_encoder()), files(disk_decoder()))
    seen = count_embeddings(monkeypatch)
    image = noise(20, 30)
    for session in (sam.session(image), sam.session(image.copy(), np.ones((20, 30), np.bool_))):
        session.click(3, 3, True)
        session.click(9, 9, False)
    assert len(seen) == 1
    sam.session(noise(20, 30, seed=1))
    assert len(seen) == 2
    sam.session(image)
    assert len(seen) == 3
    image[0, 0] ^= 255
    sam.session(image)
    assert len(seen) == 4


def test_an_open_session_keeps_its_own_embedding(files, monkeypatch):
    sam = Sam(files(normalised_encoder()), files(disk_decoder()))
    count_embeddings(monkeypatch)
    embeddings = []
    decode = Decoder.decode

    def recording(decoder, embedding, *arguments):
        embeddings.append(float(embedding.mean()))
        return decode(decoder, embedding, *arguments)

    monkeypatch.setattr(Decoder, "decode", recording)
    first = sam.session(np.full((8, 8, 3), 10, np.uint8))
    second = sam.session(np.full((8, 8, 3), 20, np.uint8))
    first.click(1, 1, True)
    second.click(1, 1, True)
    assert embeddings == [10, 20]


# ------------------------------------------------------------ decoders


@pytest.mark.parametrize("without_size", [False, True])
def test_what_the_decoder_is_told(files, without_size):
    """Clicks scaled to a long side of 1024, a point that is none at the end, and the size of the photo."""
    decoder = Decoder(files(probing_decoder(**({"orig_im_size": None} if without_size else {}))), 1)
    embedding, before = np.zeros((1, 256, 64, 64), np.float32), np.full((256, 256), 3.5, np.float32)
    clicks = [Click(10, 20, True), Click(199, 99, False), Click(0.5, 0, True)]
    for logits, given_mask in ((None, 0), (before, 1)):
        masks, scores = decoder.decode(embedding, clicks, logits, (100, 200))
        coordinates = [10 * 5.12, 20 * 5.12, 199 * 5.12, 99 * 5.12, 0.5 * 5.12, 0, 0, 0]
        size = [] if without_size else [100, 200]
        np.testing.assert_allclose(scores, [*coordinates, 1, 0, 1, -1, given_mask, *size], rtol=1e-6)
        assert (masks == (0 if logits is None else 3.5)).all()


def test_sizes_round_as_sam_rounds_them(files):
    """333 x 500 becomes 682 x 1024 (681.98 and a half, cut off), so y is scaled by 682 / 333."""
    decoder = Decoder(files(probing_decoder()), 1)
    _, scores = decoder.decode(np.zeros((1, 256, 64, 64), np.float32), [Click(50, 100, True)], None, (333, 500))
    np.testing.assert_allclose(scores[:2], [50 * 1024 / 500, 100 * 682 / 333], rtol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "x", "y"), [(300, 200, 60, 210), (200, 300, 210, 60), (1500, 2000, 1500, 400), (64, 64, 20, 40)]
)
def test_a_click_draws_its_disk_where_it_is(sam, height, width, x, y):
    """The disk of the best of the masks 1 to 3: SAM scales clicks as if they were corners, and draws about centres."""
    session = sam.session(noise(height, width))
    session.click(x, y, True)
    scale = 1024 / max(height, width)
    centre = [(place * scale + 0.5) / scale - 0.5 for place in (x, y)]
    assert iou(session.mask, disk(height, width, *centre, 90 / scale)) > 0.95
    rows, columns = np.nonzero(session.mask)
    np.testing.assert_allclose([columns.mean(), rows.mean()], centre, atol=0.3)


def test_all_clicks_are_seen_with_each(sam):
    session = sam.session(noise(1024, 1024))
    for click in ((150, 150, True), (850, 850, False), (600, 600, True)):
        session.click(*click)
    assert [session.mask[place, place] for place in (150, 600, 850)] == [True, True, False]


def test_the_logits_that_are_seen_again_are_those_of_the_mask_that_was_chosen(sam, monkeypatch):
    decode = Decoder.decode
    seen, made = [], []

    def recording(decoder, embedding, clicks, logits, shape):
        seen.append(logits)
        made.append(decode(decoder, embedding, clicks, logits, shape)[0])
        return made[-1], SCORES

    monkeypatch.setattr(Decoder, "decode", recording)
    session = sam.session(noise(40, 40))
    for x in (10, 20, 30):
        session.click(x, x, True)
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], made[0][2])
    np.testing.assert_array_equal(seen[2], made[1][0])
    np.testing.assert_array_equal(session.mask, over_image(made[2][0], 40, 40) > 0)


def test_a_given_mask_stays_where_no_click_changes_it(sam):
    given_mask = np.zeros((100, 150), np.bool_)
    given_mask[10:50, 20:70] = True
    session = sam.session(noise(100, 150), given_mask)
    np.testing.assert_array_equal(session.mask, given_mask)
    session.click(140, 95, False)
    assert iou(session.mask, given_mask) > 0.95
    assert given_mask.sum() == 2000


def test_an_empty_mask_is_none(files):
    sam = Sam(files(raw_encoder()), files(disk_decoder()))
    image = noise(64, 64)
    sessions = [sam.session(image), sam.session(image, np.zeros((64, 64), np.bool_))]
    for session in sessions:
        session.click(30, 30, True)
    np.testing.assert_array_equal(sessions[0].mask, sessions[1].mask)


@given(masks(), st.integers(1, 9))
def test_a_mask_comes_back_from_its_logits(mask, scale):
    """Every pixel of it, up to 64 a side: four of the square's logits to a pixel."""
    mask = np.kron(mask, np.ones((scale, scale), np.bool_))[:64, :64]
    logits = mask_to_logits(mask)
    assert logits.shape == (256, 256)
    assert logits.dtype == np.float32
    assert np.abs(logits).max() <= np.float32(6.9)
    np.testing.assert_array_equal(over_image(logits, *mask.shape) > 0, mask)


def test_the_logits_of_a_mask_are_background_in_the_padding():
    logits = mask_to_logits(np.ones((50, 100), np.bool_))
    np.testing.assert_allclose(logits[:128], 6.9, rtol=1e-6)
    np.testing.assert_allclose(logits[128:], -6.9, rtol=1e-6)


@pytest.mark.parametrize(
    ("scores", "prompts", "chosen"),
    [
        ([0.9, 0.3, 0.8, 0.5], 1, 2),  # one ambiguous click: the best of the three
        ([0.1, 0.3, 0.8, 0.5], 2, 0),  # several prompts: the mask that is made for them
        ([0.1, 0.9, 0.8], 1, 1),
        ([0.1, 0.9, 0.8], 5, 1),
        ([0.1], 1, 0),
    ],
)
def test_which_mask_is_taken(scores, prompts, chosen):
    assert choose(np.array(scores, np.float32), prompts) == chosen


def test_a_given_mask_is_a_prompt(sam):
    """With it, the first click is no longer alone: the mask with the radius 300 is taken, the share of -6.9 off."""
    given_mask = disk(1024, 1024, 100, 900, 50)
    for mask, radius in ((None, 90), (given_mask, round(300 * np.sqrt(1 - SHARE * 6.9 / 4)))):
        session = sam.session(noise(1024, 1024), mask)
        session.click(600, 400, True)
        assert session.mask[400, 600 - radius + 8]
        assert not session.mask[400, 600 - radius - 8]


@pytest.mark.parametrize("masks", [1, 3])
def test_decoders_of_one_and_of_three_masks(files, masks):
    session = Sam(files(normalised_encoder()), files(disk_decoder(masks))).session(noise(1024, 1024))
    session.click(512, 512, True)
    radius = RADII[np.argmax(SCORES[:masks])]
    assert iou(session.mask, disk(1024, 1024, 512, 512, radius)) > 0.9


# ------------------------------------------------------------ what is refused


def zeros(inputs, outputs, kind=TensorProto.FLOAT):
    """A network of this signature that answers zeros."""
    nodes = [helper.make_node("Identity", [f"{name}.zeros"], [name]) for name in outputs]
    constants = {f"{name}.zeros": np.zeros(shape, np.float32) for name, shape in outputs.items()}
    made = network(nodes, inputs, outputs, constants)
    for value in made.graph.input:
        value.type.tensor_type.elem_type = kind
    return made


EMBEDDING = {"embedding": (1, 256, 64, 64)}
MASKS = {"low_res_masks": (1, 1, 256, 256), "iou_predictions": (1, 1)}


@pytest.mark.parametrize(
    "made",
    [
        zeros({}, EMBEDDING),
        zeros({"x": (1, 3, 512, 512)}, EMBEDDING),
        zeros({"x": (1, 1024, 1024, 3)}, EMBEDDING),
        zeros({"x": (1024, 1024, 3)}, EMBEDDING),
        zeros({"x": ("height", "width", 4)}, EMBEDDING),
        zeros({"x": ("height", "width", 3)}, EMBEDDING, TensorProto.UINT8),
        zeros({"x": (1, 3, 1024, 1024), "y": (1,)}, EMBEDDING),
        zeros({"x": (1, 3, 1024, 1024)}, EMBEDDING | {"interm_embeddings": (1, 2)}),
        zeros(decoder_inputs(), MASKS),
    ],
    ids=["none", "512", "channels last", "fixed", "alpha", "uint8", "two inputs", "two outputs", "a decoder"],
)
def test_an_encoder_of_another_kind_is_refused(files, made):
    path = files(made)
    with pytest.raises(ModelError, match=r"is no encoder of the SAM family .* expected one float32 input") as raised:
        Sam(path, files(disk_decoder()))
    assert str(path) in str(raised.value)
    for value in made.graph.input:
        assert value.name in str(raised.value)


@pytest.mark.parametrize(
    "made",
    [
        zeros(decoder_inputs(mask_input=None), MASKS),
        zeros(decoder_inputs(interm_embeddings=(4, 1, 64, 64, 768)), MASKS),
        zeros(decoder_inputs(point_coords=(1, 5, 2)), MASKS),
        zeros(decoder_inputs(image_embeddings=(1, 256, 32, 32)), MASKS),
        zeros(decoder_inputs(), MASKS, TensorProto.DOUBLE),
        zeros(decoder_inputs(), {"masks": (1, 1, 9, 9), "iou_predictions": (1, 1)}),
        normalised_encoder(),
    ],
    ids=["no mask input", "SAM-HQ", "five points", "small embedding", "double", "no logits", "an encoder"],
)
def test_a_decoder_of_another_kind_is_refused(files, made):
    path = files(made)
    with pytest.raises(ModelError, match=r"is no decoder of the SAM family .* expected the float32 inputs") as raised:
        Sam(files(normalised_encoder()), path)
    assert str(path) in str(raised.value)


def test_files_that_are_missing_damaged_or_in_parts(files, tmp_path):
    good = files(normalised_encoder())
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelNotFoundError, match="no network in"):
            Sam(path, good)
    for content in (b"", b"not a network", good.read_bytes()[:-40]):
        with pytest.raises(ModelError, match="is not a network that ONNX Runtime can run"):
            Sam(files(content), good)
    apart = normalised_encoder()
    tensor = apart.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    with pytest.raises(ModelError, match="keeps parameters in another file"):
        Sam(files(apart), good)


def test_networks_that_break_what_they_declare(files):
    decoder = files(disk_decoder())
    free = zeros({"x": (1, 3, 1024, 1024)}, {"embedding": (1, 256, 8, 8)})
    with pytest.raises(ModelError, match="made an embedding of float32, shape"):
        Sam(files(free), decoder).session(noise(4, 4))
    failing = network(
        [
            helper.make_node("Reshape", ["x", "wrong"], ["reshaped"]),
            helper.make_node("Identity", ["reshaped"], ["embedding"]),
        ],
        {"x": ("batch", 3, "height", "width")},
        {"embedding": ("a", "b", "c", "d")},
        {"wrong": np.array([1, 7, 7, 7])},
    )
    with pytest.raises(ModelError, match="cannot be run on this input"):
        Sam(files(failing), decoder).session(noise(4, 4))
    small = zeros(decoder_inputs(), {"low_res_masks": (1, 1, 64, 64), "iou_predictions": (1, 1)})
    with pytest.raises(ModelError, match="made iou_predictions"):
        Sam(files(normalised_encoder()), files(small)).session(noise(4, 4)).click(1, 1, True)


@pytest.mark.parametrize("method", ["grabcut", "sam"])
def test_arguments_are_checked_as_everywhere(method, sam):
    method = sam if method == "sam" else GrabCut()
    with pytest.raises(ArgumentTypeError, match="image: expected"):
        method.session(np.zeros((4, 4, 3)))
    with pytest.raises(ArgumentValueError, match="mask: expected the shape"):
        method.session(noise(4, 4), np.zeros((4, 5), np.bool_))
    with pytest.raises(ArgumentValueError, match="x: expected a place on"):
        method.session(noise(4, 4)).click(4, 0, True)


def test_threads_are_checked(files):
    with pytest.raises(ArgumentValueError, match="threads: expected at least 1"):
        Sam(files(normalised_encoder()), files(disk_decoder()), threads=0)
