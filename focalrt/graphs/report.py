"""What a variant's networks cost as published and as converted, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from . import networks, plain
from .count import Cost, by_stage, total
from .parameters import Parameters
from .shortcuts import savings

Models = Mapping[str, onnx.ModelProto]


def tables(parameters: Parameters, variant: str) -> str:
    """A table of the stages and one of the exact shortcuts. Raises ParameterError."""
    published, converted = plain.networks(parameters, variant), networks(parameters, variant)
    return f"{stages(variant, published, converted)}\n\n{shortcuts(variant, published, converted)}"


def stages(variant: str, published: Models, converted: Models) -> str:
    """Millions of multiply-adds and thousands of parameters, stage by stage, of both networks by name."""
    lines = [
        f"| {variant} | M multiply-adds, published | converted | K parameters, published | converted |",
        "|---|---:|---:|---:|---:|",
    ]
    for network, full in published.items():
        before, after = by_stage(full), by_stage(converted[network])
        for stage in dict.fromkeys([*before, *after]):
            lines.append(row(stage, before.get(stage, Cost(0, 0)), after.get(stage, Cost(0, 0))))
        lines.append(row(f"**{network}**", total(full), total(converted[network])))
    return "\n".join(lines)


def row(title: str, before: Cost, after: Cost) -> str:
    """One line of the table of stages."""
    work = f"{before.multiply_adds / 1e6:.1f} | {after.multiply_adds / 1e6:.1f}"
    return f"| {title} | {work} | {before.parameters / 1e3:.1f} | {after.parameters / 1e3:.1f} |"


def shortcuts(variant: str, published: Models, converted: Models) -> str:
    """What each shortcut saves, as it was counted; one that costs something, to save time, is negative there."""
    saved = savings(variant, published, converted)
    together = [sum(column) for column in zip(*saved.values(), strict=True)]
    lines = ["| exact shortcut | multiply-adds saved | parameters | operators |", "|---|---:|---:|---:|"]
    for title, numbers in [*saved.items(), ("**together**", together)]:
        lines.append(f"| {title} | {' | '.join(f'{number:,}' for number in numbers)} |")
    return "\n".join(lines)
