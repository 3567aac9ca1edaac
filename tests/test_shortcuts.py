"""The exact shortcuts, one by one: each equals the plain way, and together they are all that differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="graphs need onnx, of the convert extra")

from numpy.typing import NDArray
from onnx_parts import EXACT, Array, assert_close, noise, output_of, outputs_of, roi_align, run, seeded
from parameters import random_parameters

from focalrt import graphs
from focalrt.graphs import attention, count, mit, ocr, plain, segformer, shortcuts
from focalrt.graphs import hrnet as hrnet_graph
from focalrt.graphs.builder import Graph, Value
from focalrt.graphs.parameters import Convolution, Linear
from focalrt.graphs.plain import PlainGraph
from focalrt.graphs.refiner import blend, blocked, scattered
from focalrt.graphs.refiner import heads as refiner_heads
from focalrt.graphs.segmentor import MEAN, STD, alone, of_centred
from focalrt.graphs.segmentor import heads as segmentor_heads
from focalrt.graphs.variants import NETS

VARIANTS = ["hrnet18s-s1", "hrnet32-s2", "segformerb0-s1", "segformerb3-s2", "ritm-hrnet18s"]
KEYS = 12
FEATURE = (1, 2 * KEYS, 9, 9)

Write = Callable[[Any], Value]


def assert_equal(short: Write, full: Write, **feeds: Array) -> None:
    """A part of the graph as it is converted, against the same part as published."""
    found = outputs_of(Graph("part", seeded), short, **feeds)
    wanted = outputs_of(PlainGraph("part", seeded), full, **feeds)
    assert np.ptp(wanted) > 0.1
    assert_close(found, wanted, EXACT)


# ------------------------------------------------------------ both families


@pytest.mark.parametrize("bias", [True, False])
def test_batch_normalisation_is_folded(bias: bool) -> None:
    x = noise(1, 5, 8, 8)

    def write(g: Graph) -> Value:
        return g.conv(g.input("x", x.shape), "layer", 7, 3, bias=bias, norm="norm")

    assert_equal(write, write, x=x)


@pytest.mark.parametrize("kernel", [3, 7])
def test_the_image_is_divided_in_the_first_convolution(kernel: int) -> None:
    """At the border too, which is padded with zeros after normalisation."""
    x = np.random.default_rng(4).random((1, 3, 16, 16), np.float32)
    mean, std = ((array[:, None, None]).astype(np.float32) for array in (MEAN, STD))

    def layer(g: Graph) -> Convolution:
        return g.learnt("first", 6, 3, kernel, bias=True)

    found = outputs_of(
        Graph("part", seeded), lambda g: g.apply(of_centred(layer(g)), g.input("x", x.shape), "first", 2), x=x - mean
    )
    wanted = outputs_of(
        Graph("part", seeded), lambda g: g.apply(layer(g), g.input("x", x.shape), "first", 2), x=(x - mean) / std
    )
    assert_close(found, wanted, EXACT)


# ------------------------------------------------------------ HRNet


def test_the_scale_of_the_clicks_is_folded() -> None:
    """A negative one too: its absolute value counts."""
    image, maps = noise(1, 3, 32, 32), np.abs(noise(1, 3, 32, 32))

    def full(g: PlainGraph) -> Value:
        std = g.fixed("std", STD[:, None, None])
        centred = g.input("image", image.shape)
        normalised = g.node("Div", [centred, std], "image.normalised", image.shape)
        return plain.stem(g, normalised, g.input("maps", maps.shape))

    assert seeded("maps_transform.3.scale", (1,)) < 0
    assert_equal(
        lambda g: hrnet_graph.stem(g, g.input("image", image.shape), g.input("maps", maps.shape)),
        full,
        image=image,
        maps=maps,
    )


@pytest.mark.parametrize("sides", [(32, 16, 8, 4), (16, 8, 4, 2), (25, 13, 7, 4), (5, 3, 2, 1)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_of_merged_branches(sides: tuple[int, ...], kernel: int) -> None:
    feeds = {f"x{n}": noise(1, width, n, n) for width, n in zip((3, 4, 5, 6), sides, strict=True)}
    convolution = Convolution(seeded("merged.weight", (7, 18, kernel, kernel)), seeded("merged.bias", (7,)))

    def branches(g: Graph) -> list[Value]:
        return [g.input(name, x.shape) for name, x in feeds.items()]

    def merged(g: Graph) -> Value:
        grown = [x if n == sides[0] else g.resize(x, sides[0], f"{x.name}.grown") for n, x in zip(sides, branches(g))]
        return g.apply(convolution, g.concat(grown, "merged"), "convolved")

    assert_equal(lambda g: ocr.of_merged(g, convolution, ocr.widened(g, branches(g)), "convolved"), merged, **feeds)


def of_region(g: Any, way: Callable[[Any, Value, Value], Value]) -> Value:
    """A part of the head that reads features (1, 2k, n, n) and the region (1, 2k, 1, 1)."""
    return way(g, g.input("x", FEATURE), g.input("region", (1, 2 * KEYS, 1, 1)))


def test_attention_to_one_region_is_the_same_everywhere() -> None:
    """Whatever the dead branches hold: their weight is 1."""
    feeds = {"x": noise(*FEATURE), "region": noise(1, 2 * KEYS, 1, 1)}

    def everywhere(g: Graph, x: Value, region: Value) -> Value:
        return g.node("Expand", [ocr.context(g, region, KEYS), g._integers("shape", x.shape)], "context", x.shape)

    assert_equal(
        lambda g: of_region(g, everywhere),
        lambda g: of_region(g, lambda g, x, region: plain.region_attention(g, x, region, KEYS)),
        **feeds,
    )


def test_the_context_is_a_bias() -> None:
    feeds = {"x": noise(*FEATURE), "region": noise(1, 2 * KEYS, 1, 1)}

    def concatenated(g: PlainGraph, x: Value, region: Value) -> Value:
        both = g.concat([plain.region_attention(g, x, region, KEYS), x], "context.features")
        return ocr.project(g, both, ocr.FUSION, 2 * KEYS)

    assert_equal(
        lambda g: of_region(g, lambda g, x, region: ocr.with_context(g, x, region, KEYS)),
        lambda g: of_region(g, concatenated),
        **feeds,
    )


# ------------------------------------------------------------ SegFormer


@pytest.mark.parametrize("heads", [1, 2, 5])
@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_attention(heads: int, reduction: int) -> None:
    x = noise(64, 40)
    assert_equal(
        lambda g: attention.attention(g, g.input("x", x.shape), "attn", heads, reduction),
        lambda g: plain.attention(g, g.input("x", x.shape), "attn", heads, reduction),
        x=x,
    )


def test_attention_by_hand() -> None:
    """Each query's scores over all keys, written out."""
    x, heads, d = noise(9, 6), 2, 6
    q, kv, out = (
        Linear(seeded(f"a.{part}.weight", (n, d)), seeded(f"a.{part}.bias", (n,)))
        for part, n in (("q", d), ("kv", 2 * d), ("proj", d))
    )
    query, both = x @ q.weight.T + q.bias, x @ kv.weight.T + kv.bias
    mixed = np.zeros((9, d))
    for head in range(heads):
        at = slice(head * 3, head * 3 + 3)
        scores = np.exp(query[:, at] @ both[:, :d][:, at].T / np.sqrt(3))
        mixed[:, at] = scores / scores.sum(1, keepdims=True) @ both[:, d:][:, at]
    wanted = (mixed @ out.weight.T + out.bias).astype(np.float32)
    assert_close(output_of(lambda g: attention.attention(g, g.input("x", x.shape), "a", heads, 1), x=x), wanted, EXACT)


def test_scale_and_biases_are_in_other_layers() -> None:
    """The four layers do what the three of the checkpoint do, for a softmax over any scores and any values."""
    rng, d, heads = np.random.default_rng(6), 10, 2
    query, key, value, last = attention.layers(Graph("part", seeded), "a", d, heads)
    q, kv, out = (
        Linear(seeded(f"a.{part}.weight", (n, d)), seeded(f"a.{part}.bias", (n,)))
        for part, n in (("q", d), ("kv", 2 * d), ("proj", d))
    )
    x, y = rng.standard_normal((2, 7, d))
    weights = rng.dirichlet(np.ones(7), 7)
    scores = (x @ q.weight.T + q.bias) @ (y @ kv.weight[:d].T + kv.bias[:d]).T / np.sqrt(d / heads)
    found = (x @ query.weight.T + query.bias) @ (y @ key.weight.T).T
    assert not key.bias.any() and not value.bias.any()
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(scores, axis=1), atol=1e-12)  # softmax sees no more
    values = weights @ (y @ kv.weight[d:].T + kv.bias[d:])
    np.testing.assert_allclose(
        weights @ (y @ value.weight.T) @ last.weight.T + last.bias, values @ out.weight.T + out.bias, atol=1e-12
    )


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_the_reduction_is_one_product(reduction: int) -> None:
    x = noise(256, 6)
    assert_equal(
        lambda g: attention.reduced(g, g.input("x", x.shape), "attn", reduction),
        lambda g: plain.reduced(g, g.input("x", x.shape), "attn", reduction),
        x=x,
    )


def test_the_feed_forward_part() -> None:
    x = noise(49, 12)
    assert_equal(
        lambda g: mit.mix_ffn(g, g.input("x", x.shape), "mlp"),
        lambda g: plain.mix_ffn(g, g.input("x", x.shape), "mlp"),
        x=x,
    )


@pytest.mark.parametrize("side", [8, 16])
def test_the_decoder_has_one_matrix_per_level(side: int) -> None:
    """Each level's linear layer, grown, all concatenated and fused; written out with matrices."""
    widths, channels = (3, 4, 5, 6), 7
    feeds = {f"level{n}": noise((side >> n) ** 2, width) for n, width in enumerate(widths)}

    def fused(g: PlainGraph) -> Value:
        grown = []
        for number, (name, level) in reversed(list(enumerate(feeds.items(), start=1))):
            tokens = plain.layer(g, g.input(name, level.shape), f"{segformer.DECODER}.linear_c{number}.proj", channels)
            grown.append(g.resize(mit.to_map(g, tokens), side, f"{name}.resize", mode="half_pixel"))
        x = g.concat(grown, "levels")
        return g.relu(g.conv(x, f"{segformer.FUSION}.conv", channels, norm=f"{segformer.FUSION}.bn"))

    def short(g: Graph) -> Value:
        tokens = segformer.decoded(g, [g.input(name, level.shape) for name, level in feeds.items()], channels)
        return mit.to_map(g, tokens)

    assert_equal(short, fused, **feeds)


# ------------------------------------------------------------ the Refiner, and what it reads


def test_the_context_is_the_same_in_another_layout() -> None:
    x = noise(1, 32, 9, 9)
    found = outputs_of(Graph("part", seeded), lambda g: blocked(g, g.input("x", x.shape)), x=x)
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_that_scatters(kernel: int) -> None:
    x = noise(1, 6, 9, 12)
    convolution = Convolution(seeded("heads.weight", (2, 6, kernel, kernel)), seeded("heads.bias", (2,)))
    assert_equal(
        lambda g: scattered(g, g.input("x", x.shape), convolution, "heads"),
        lambda g: g.apply(convolution, g.input("x", x.shape), "heads"),
        x=x,
    )


@pytest.mark.parametrize("head", [0, 1])
def test_both_heads_at_once(head: int) -> None:
    x, names = noise(1, 32, 128, 128), [("refine_pred", "detail"), ("refine_trimap", "boundary")]
    assert_equal(
        lambda g: refiner_heads(g, g.input("x", x.shape))[head],
        lambda g: plain.head(g, g.input("x", x.shape), *names[head]),
        x=x,
    )


def test_equation_1_with_one_product() -> None:
    feeds = dict(zip(("detail", "boundary", "coarse"), noise(3, 1, 1, 16, 16), strict=True))
    found = outputs_of(
        Graph("part", seeded), lambda g: blend(g, *(g.input(name, x.shape) for name, x in feeds.items())), **feeds
    )
    gate = 1 / (1 + np.exp(-feeds["boundary"]))
    assert_close(found, gate * feeds["detail"] + (1 - gate) * feeds["coarse"], EXACT)


def test_a_layer_moves_before_roi_align() -> None:
    """RoIAlign of what it makes is what it makes of RoIAlign, whose weights sum to 1 within the plane."""
    net, box = NETS["hrnet18s"], np.array([31.5, 12.25, 200.75, 256.0])
    x = noise(1, net.channels, 32, 32)

    def projected(g: PlainGraph) -> Value:
        name = "refiner.refine_fusion"
        return g.conv(g.input("x", x.shape), f"{name}.conv", 32, bias=True, norm=f"{name}.norm")

    both = outputs_of(
        Graph("part", seeded), lambda g: g.apply(segmentor_heads(g, net), g.input("x", x.shape), "heads"), x=x
    )
    wanted = outputs_of(PlainGraph("part", seeded), projected, x=roi_align(x, box))
    assert_close(roi_align(both[:, 1:], box), wanted, EXACT)
    logits = output_of(lambda g: g.conv(g.input("x", x.shape), net.prediction, 1, bias=True), x=x)
    assert_close(both[:, :1], logits, EXACT)


def test_logits_left_small_are_those_that_are_enlarged() -> None:
    net, image, maps = NETS["hrnet18s"], noise(1, 3, 64, 64), np.abs(noise(1, 3, 64, 64))
    short, full = Graph("segmentor", seeded), PlainGraph("segmentor", seeded)
    alone(short, net, 64)
    plain.write_alone(full, net, 64)
    small = run(short.model(), image=image, maps=maps)["logits"]
    grown = output_of(lambda g: g.resize(g.input("x", small.shape), 64, "grown"), x=small)
    assert_close(grown, run(full.model(), image=image, maps=maps)["logits"], EXACT)


# ------------------------------------------------------------ what they save


TESTS = {  # by the function of the shortcut
    "read_convolution": test_batch_normalisation_is_folded,
    "of_centred": test_the_image_is_divided_in_the_first_convolution,
    "scaled": test_the_scale_of_the_clicks_is_folded,
    "of_merged": test_a_convolution_of_merged_branches,
    "context": test_attention_to_one_region_is_the_same_everywhere,
    "with_context": test_the_context_is_a_bias,
    "layers": test_scale_and_biases_are_in_other_layers,
    "attention": test_attention,
    "reduced": test_the_reduction_is_one_product,
    "mix_ffn": test_the_feed_forward_part,
    "decoded": test_the_decoder_has_one_matrix_per_level,
    "blocked": test_the_context_is_the_same_in_another_layout,
    "blend": test_equation_1_with_one_product,
    "heads": test_both_heads_at_once,
    "alone": test_logits_left_small_are_those_that_are_enlarged,
}


def test_every_shortcut_has_a_function_and_a_test() -> None:
    listed = {shortcut for variant in graphs.VARIANTS for shortcut in shortcuts.shortcuts(variant)}
    assert {shortcut.by.__name__ for shortcut in listed} == set(TESTS)
    assert {shortcut.by for shortcut in listed} >= {refiner_heads, segmentor_heads}
    assert len({shortcut.title for shortcut in listed}) == len(listed)


class Counted:
    """A variant's networks, as published and as converted, and their items."""

    def __init__(self, variant: str) -> None:
        parameters = ones(variant)
        self.variant = variant
        self.published, self.converted = plain.networks(parameters, variant), graphs.networks(parameters, variant)
        self.saved = shortcuts.savings(variant, self.published, self.converted)


def ones(variant: str) -> dict[str, NDArray[np.float32]]:
    """Parameters that take no memory; none is zero, so no bias is left out."""
    return {name: np.broadcast_to(np.float32(1), shape) for name, shape in plain.expected(variant).items()}


@pytest.fixture(scope="module", params=VARIANTS)
def counted(request: pytest.FixtureRequest) -> Counted:
    return Counted(request.param)


def test_savings_are_the_difference_of_the_graphs_to_the_multiply_add(counted: Counted) -> None:
    before, after = (
        [count.total(model) for model in models.values()] for models in (counted.published, counted.converted)
    )
    operators = [
        sum(node.op_type != "Identity" for model in models.values() for node in model.graph.node)
        for models in (counted.published, counted.converted)
    ]
    together = [sum(column) for column in zip(*counted.saved.values(), strict=True)]
    assert together == [
        sum(cost.multiply_adds for cost in before) - sum(cost.multiply_adds for cost in after),
        sum(cost.parameters for cost in before) - sum(cost.parameters for cost in after),
        operators[0] - operators[1],
    ]


def test_every_shortcut_of_a_variant_has_something_to_do(counted: Counted) -> None:
    idle = {title for title, saving in counted.saved.items() if saving == shortcuts.NOTHING}
    assert all("moved before RoIAlign" in title for title in idle)  # it saves outside of the graphs


def saving_of(counted: Counted, part: str) -> tuple[int, int, int]:
    (found,) = [saving for title, saving in counted.saved.items() if part in title]
    return found


def test_savings_by_hand() -> None:
    """hrnet18s on 32 x 32 positions, k = 48, 270 merged channels of 18, 36, 72, 144."""
    counted, places, k = Counted("hrnet18s-s1"), 32 * 32, 48
    # f_pixel (2k x k, k x k) and both products at every position, f_object on one
    dead = places * (2 * k * k + k * k + k + k) + (2 * k * k + k * k)
    assert saving_of(counted, "dead branches")[:2] == (dead, 2 * (2 * k * k + k * k + 4 * k))
    # f_up and the context's half of the last convolution, at every position but one
    assert saving_of(counted, "as a bias")[0] == (places - 1) * (k * 2 * k + 2 * k * 2 * k)
    assert saving_of(counted, "scale of the clicks") == (0, 1, 2)
    assert saving_of(counted, "division of the image") == (0, 0, 1)
    assert saving_of(counted, "blocked layout") == (-32 * 32 * places, 0, -1)
    assert saving_of(counted, "heads at once") == (0, 0, 1)
    layers = sum(len(node.input) == 5 for node in counted.published["segmentor"].graph.node)  # normalisations
    assert saving_of(counted, "batch normalisation")[2] == layers + 6 - 4  # the Refiner's; f_pixel's and f_object's


def test_a_difference_that_is_no_shortcuts_is_told() -> None:
    counted = Counted("hrnet18s-s1")
    published, converted = counted.published, counted.converted
    node = next(node for node in converted["segmentor"].graph.node if node.name == "feature_extractor.conv2")
    node.name = "elsewhere"
    with pytest.raises(ValueError, match=r"Conv:.*(conv2|elsewhere) differs .* no shortcut tells why"):
        shortcuts.savings("hrnet18s-s1", published, converted)


def test_what_no_shortcut_touches_is_the_same_in_both(counted: Counted) -> None:
    """Node by node and array by array; more than a third of HRNet's nodes."""
    listed = shortcuts.shortcuts(counted.variant)
    for name, model in counted.published.items():
        before, after = shortcuts.items(model), shortcuts.items(counted.converted[name])
        free = [key for key in {**before, **after} if not any(each.touches.search(key) for each in listed)]
        assert len(free) > 20
        assert [key for key in free if before.get(key) != after.get(key)] == []


def test_random_networks_cost_what_ones_do() -> None:
    """The counting hangs on shapes alone."""
    parameters = random_parameters("hrnet18s-s1")
    found = shortcuts.savings(
        "hrnet18s-s1", plain.networks(parameters, "hrnet18s-s1"), graphs.networks(parameters, "hrnet18s-s1")
    )
    assert found == Counted("hrnet18s-s1").saved
