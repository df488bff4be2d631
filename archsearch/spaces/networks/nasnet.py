"""The network of NASNet cells as built by DARTS (H. Liu et al., arXiv 1806.09055, section 3.1.1 and appendix A)."""

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

    Nothing is pruned, as in the published counts: an input is resized even if no step reads it, and a cell is built even if no
    later cell reads it.

    Args:
        build: Receives the operators.
        normal: The normal cell, which keeps the size.
        reduction: The reduction cell, which halves the size.
        num_classes: Number of classes.
        channels: Channels of a step before the first reduction; the stem has three times as many.
        cells: Number of cells.
    """
    step_width = channels
    stem = build.add("stem", conv_bn(build.in_channels, _STEM_WIDTH * channels, 3), build.input)
    # The outputs of the last two cells, with their channels; both are the stem at first.
    before, last = (stem, _STEM_WIDTH * channels), (stem, _STEM_WIDTH * channels)
    halved = False
    for number in range(cells):
        name, halving = f"cell{number}", number in (cells // 3, 2 * cells // 3)
        step_width *= 2 if halving else 1
        # Right after a reduction, the second to last output still has the larger size.
        first = build.block(f"{name}_input0", _aligned, (before[0],), before[1], step_width, halved)
        second = build.block(f"{name}_input1", _aligned, (last[0],), last[1], step_width, False)
        cell = reduction if halving else normal
        x = _cell(build, name, (first, second), cell, step_width, stride=2 if halving else 1)
        before, last, halved = last, (x, (cell.num_nodes - 2) * step_width), halving
    x = build.add("pool", GlobalAveragePool(), last[0])
    return build.add("classifier", Linear(last[1], num_classes), x)


def _cell(build: Builder, name: str, inputs: tuple[int, int], cell: Cell, channels: int, stride: int) -> int:
    """Add one cell; only operators on its two inputs have the stride."""
    nodes = list(inputs)
    for node in range(2, cell.num_nodes):
        terms = []
        for position, ((source, target), operator) in enumerate(zip(cell.edges, cell.edge_operators, strict=True)):
            if target == node:
                term, step = f"{name}_node{node}{'ab'[position % 2]}", stride if source < 2 else 1
                terms.append(build.block(term, _applied, (nodes[source],), operator, channels, step))
        nodes.append(build.add(f"{name}_node{node}", Sum(), *terms))
    return build.add(name, Concatenate(), *nodes[2:])


def _aligned(build: Builder, name: str, inputs: Sequence[int], in_channels: int, channels: int, halve: bool) -> int:
    """Bring the output of an earlier cell to the channels of this cell and, if `halve`, to half the size."""
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
