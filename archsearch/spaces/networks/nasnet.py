"""The network that DARTS makes of two cells (H. Liu et al., arXiv 1806.09055, section 3.1.1 and appendix A)."""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.spaces.architecture import Cell
from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    FactorizedReduction,
    GlobalAveragePool,
    Identity,
    Linear,
    MaxPool,
    Operator,
    ReLU,
    Sum,
    conv_bn,
    relu_conv_bn,
    twice_separable_conv,
)

_STEM_WIDTH = 3


def skeleton(build: Builder, normal: Cell, reduction: Cell, num_classes: int, *, channels: int, cells: int) -> int:
    """Add stem, cells with reductions after a third and two thirds, global pool and classifier; return the slot of the logits.

    Nothing is pruned, as in the published counts: an input is brought to size also where no step reads it, and a cell is there
    also where no later one reads it.

    Args:
        build: Takes the operators.
        normal: Cell that keeps the size.
        reduction: Cell that halves it.
        num_classes: Classes to tell apart.
        channels: Channels of a step before the first reduction; the stem has three times as many.
        cells: Number of cells.
    """
    step_width = channels
    stem = build.add("stem", conv_bn(build.in_channels, _STEM_WIDTH * channels, 3), build.input)
    # The outputs of the last two cells, with their channels; the stem stands for both at first.
    before, last = (stem, _STEM_WIDTH * channels), (stem, _STEM_WIDTH * channels)
    halved = False
    for number in range(cells):
        name, halving = f"cell{number}", number in (cells // 3, 2 * cells // 3)
        step_width *= 2 if halving else 1
        # After a reduction the output before the last is still of the size before.
        first = build.block(f"{name}_input0", _aligned, (before[0],), before[1], step_width, halved)
        second = build.block(f"{name}_input1", _aligned, (last[0],), last[1], step_width, False)
        cell = reduction if halving else normal
        x = _cell(build, name, (first, second), cell, step_width, stride=2 if halving else 1)
        before, last, halved = last, (x, (cell.num_nodes - 2) * step_width), halving
    x = build.add("pool", GlobalAveragePool(), last[0])
    return build.add("classifier", Linear(last[1], num_classes), x)


def _cell(build: Builder, name: str, inputs: tuple[int, int], cell: Cell, channels: int, stride: int) -> int:
    """Add one cell; operators on its inputs have the stride."""
    nodes = list(inputs)
    for node in range(2, cell.num_nodes):
        terms = []
        for position, ((source, target), operator) in enumerate(zip(cell.edges, cell.edge_operators, strict=True)):
            if target == node:
                arguments = (operator, channels, stride if source < 2 else 1)
                terms.append(build.block(f"{name}_node{node}{'ab'[position % 2]}", _applied, (nodes[source],), *arguments))
        nodes.append(build.add(f"{name}_node{node}", Sum(), *terms))
    return build.add(name, Concatenate(), *nodes[2:])


def _aligned(build: Builder, name: str, inputs: Sequence[int], in_channels: int, channels: int, halve: bool) -> int:
    """Bring an output of an earlier cell to the channels of this one, and to half the size."""
    return build.add(
        name, _relu_reduction_bn(in_channels, channels) if halve else relu_conv_bn(in_channels, channels, 1), *inputs
    )


def _applied(build: Builder, name: str, inputs: Sequence[int], operator: str, channels: int, stride: int) -> int:
    return build.add(name, _operator(operator, channels, stride), *inputs)


def _operator(name: str, channels: int, stride: int) -> Operator:
    if name == "skip_connect":
        return Identity() if stride == 1 else _relu_reduction_bn(channels, channels)
    kind, kernel = name.split("_")[0], int(name[-1])
    if kind == "sep":
        return twice_separable_conv(channels, kernel, stride)
    return AveragePool(kernel, stride) if kind == "avg" else MaxPool(kernel, stride)


def _relu_reduction_bn(in_channels: int, out_channels: int) -> Chain:
    links = (("relu", ReLU()), ("conv", FactorizedReduction(in_channels, out_channels)), ("bn", BatchNorm(out_channels)))
    return Chain(links)
