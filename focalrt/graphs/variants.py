"""The variants of the network: their table, and which one a checkpoint is (SPEC sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from ..errors import ParameterError
from . import hrnet, segformer
from .hrnet import HRNet
from .parameters import Parameters, Shape, Source, fitting
from .segformer import SegFormer

Net: TypeAlias = HRNet | SegFormer

SMALL, LARGE = (32, 64, 160, 256), (64, 128, 320, 512)
NETS: dict[str, Net] = {
    "hrnet18s": HRNet(width=18, blocks=2, modules=(1, 3, 2), keys=48),
    "hrnet18": HRNet(width=18, blocks=4, modules=(1, 4, 3), keys=64),
    "hrnet32": HRNet(width=32, blocks=4, modules=(1, 4, 3), keys=128),
    "hrnet48": HRNet(width=48, blocks=4, modules=(1, 4, 3), keys=256),
    "segformerb0": SegFormer(SMALL, (2, 2, 2, 2), channels=256),
    "segformerb1": SegFormer(LARGE, (2, 2, 2, 2), channels=512),
    "segformerb2": SegFormer(LARGE, (3, 4, 6, 3), channels=512),
    "segformerb3": SegFormer(LARGE, (3, 4, 18, 3), channels=512),
    "segformerb4": SegFormer(LARGE, (3, 8, 27, 3), channels=512),
    "segformerb5": SegFormer(LARGE, (3, 6, 40, 3), channels=512),
}
FOCALCLICK, RITM = "focalclick", "ritm"
SIDES = {"s1": 128, "s2": 256}
PIPELINE = "pipeline_version"  # of a config: a key of SIDES
RADII = {(HRNet, "s1"): 2, (HRNet, "s2"): 5, (SegFormer, "s1"): 3, (SegFormer, "s2"): 5}
CROP = 400  # side to which RITM resizes its crop, but on DAVIS (600)


class Variant(NamedTuple):
    """A Segmentor; the side of its input; its disks' radius in published checkpoints; the method it is trained for."""

    net: Net
    side: int
    radius: int
    method: str


VARIANTS = {
    f"{name}-{pipeline}": Variant(net, side, RADII[type(net), pipeline], FOCALCLICK)
    for name, net in NETS.items()
    for pipeline, side in SIDES.items()
} | {f"ritm-{name}": Variant(NETS[name], CROP, 5, RITM) for name in ("hrnet18s", "hrnet18", "hrnet32")}


def known(variant: str) -> Variant:
    """The variant of that name. Raises ParameterError."""
    if variant not in VARIANTS:
        raise ParameterError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    return VARIANTS[variant]


def filled(
    parameters: Parameters, variant: str, ask: Callable[[str, Net], Mapping[str, Shape]]
) -> tuple[Variant, Source]:
    """The variant, its net at the parameters' decoder width; the parameters, as ``ask`` tells for a method and a net.

    Raises ParameterError.
    """
    found = known(variant)
    net = found.net.fitted(parameters)
    return found._replace(net=net), fitting(parameters, ask(found.method, net), net.unused, variant)


def variant_of(parameters: Parameters, config: Mapping[str, Any] | None = None) -> str:
    """The variant of a published checkpoint: family and size by its arrays' names and shapes, S1 or S2 by its config.

    Without a Refiner, and with a config that knows of no pipeline, it is one of RITM's. parameters: arrays by name.
    config: what the checkpoint holds beside them. Raises ParameterError where they do not tell: the variant has to be
    given then.
    """
    name = net_of(parameters)
    pipeline = told(config, PIPELINE)
    if pipeline is None and not any(parameter.startswith("refiner.") for parameter in parameters):
        variant = ritm_of(name)
        check_config(variant, config)
        return variant
    if not isinstance(pipeline, str) or pipeline not in SIDES:
        names = " or ".join(f"{name}-{known}" for known in SIDES)
        raise ParameterError(
            f"this is a {name}, but its arrays are the same in S1 and S2 and the checkpoint's config tells "
            f"{PIPELINE} {pipeline!r}, expected one of {list(SIDES)}; pass the variant: {names}"
        )
    return f"{name}-{pipeline}"


def net_of(parameters: Parameters) -> str:
    """The key of ``NETS`` whose shapes these are; a decoder's width may differ from the table's."""
    found: Net | None = None
    for read in (hrnet.read, segformer.read):
        try:
            found = read(parameters)
        except (KeyError, IndexError, TypeError):  # not that family's names, or not its shapes
            continue
        for name, net in NETS.items():
            if net.fitted(parameters) == found:
                return name
    raise ParameterError(
        f"these {len(parameters)} parameters are of no known network (found {found}); where they are of a published "
        f"one after all, pass the variant, one of: {', '.join(VARIANTS)}"
    )


def ritm_of(name: str) -> str:
    """The RITM variant of a net. Raises ParameterError."""
    variant = f"{RITM}-{name}"
    if variant not in VARIANTS:
        raise ParameterError(f"this is a {name} without a Refiner; RITM's networks are {', '.join(ritm_variants())}")
    return variant


RITM_INPUT = {"with_prev_mask": True, "binary_prev_mask": False, "use_disks": True, "use_leaky_relu": True}


def check_config(variant: str, config: Mapping[str, Any] | None) -> None:
    """Raises ParameterError where a checkpoint's config tells of another input than the variant's networks get.

    Arrays do not tell S1 from S2, nor disks from distance maps.
    """
    if known(variant).method == RITM:
        for key, wanted in RITM_INPUT.items():
            found = told(config, key)
            if found not in (None, wanted):
                raise ParameterError(
                    f"this {variant} was trained with {key} = {found!r}; only the iterative models (itermask), with "
                    f"{key} = {wanted}, are known"
                )
        return
    pipeline = told(config, PIPELINE)
    if isinstance(pipeline, str) and pipeline in SIDES and not variant.endswith(f"-{pipeline}"):
        raise ParameterError(
            f"variant {variant}: the checkpoint's config tells {PIPELINE} {pipeline!r}; leave the variant out, or, "
            "where the config is wrong, save the parameters without it"
        )


def radius_of(variant: str, config: Mapping[str, Any] | None) -> float:
    """The radius of the Segmentor's disks: the published one, or what the config of a checkpoint of RITM tells.

    FocalClick's config tells one too, which its released networks do not use. Raises ParameterError.
    """
    published = known(variant)
    radius = told(config, "norm_radius") if published.method == RITM else None
    if radius is None:
        return published.radius
    if isinstance(radius, bool) or not isinstance(radius, (int, float)):
        raise ParameterError(f"the config tells norm_radius {radius!r}, expected a number; pass the radius")
    return radius


def ritm_variants() -> list[str]:
    """Names of the variants without a Refiner."""
    return [name for name, variant in VARIANTS.items() if variant.method == RITM]


def told(config: Mapping[str, Any] | None, parameter: str) -> Any:
    """``config["params"][parameter]["value"]``, or None where there is no such thing."""
    value: Any = config
    for key in ("params", parameter, "value"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
