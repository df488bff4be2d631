"""The network that DARTS makes of two cells (H. Liu et al., arXiv 1806.09055, section 3.1.1 and appendix A)."""

from __future__ import annotations

from archsearch.spaces.architecture import Cell
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
from archsearch.spaces.plan import Plan, PlanBuilder

_STEM_WIDTH = 3


def skeleton(normal: Cell, reduction: Cell, num_classes: int, in_channels: int, *, channels: int, cells: int) -> Plan:
    """Return stem, cells with reductions after a third and two thirds, global pool and classifier.

    Nothing is pruned, as in the published counts: an input is brought to size also where no step reads it, and a cell is there
    also where no later one reads it.

    Args:
        normal: Cell that keeps the size.
        reduction: Cell that halves it.
        num_classes: Classes to tell apart.
        in_channels: Channels of the images.
        channels: Channels of a step before the first reduction; the stem has three times as many.
        cells: Number of cells.
    """
    build, step_width = PlanBuilder(in_channels), channels
    stem = build.add("stem", conv_bn(in_channels, _STEM_WIDTH * channels, 3), build.input)
    # The outputs of the last two cells, with their channels; the stem stands for both at first.
    before, last = (stem, _STEM_WIDTH * channels), (stem, _STEM_WIDTH * channels)
    halved = False
    for number in range(cells):
        name, halving = f"cell{number}", number in (cells // 3, 2 * cells // 3)
        step_width *= 2 if halving else 1
        # After a reduction the output before the last is still of the size before.
        align = _relu_reduction_bn(before[1], step_width) if halved else relu_conv_bn(before[1], step_width, 1)
        first = build.add(f"{name}_input0", align, before[0])
        second = build.add(f"{name}_input1", relu_conv_bn(last[1], step_width, 1), last[0])
        cell = reduction if halving else normal
        x = _cell(build, name, (first, second), cell, step_width, stride=2 if halving else 1)
        before, last, halved = last, (x, (cell.num_nodes - 2) * step_width), halving
    x = build.add("pool", GlobalAveragePool(), last[0])
    return build.finish(build.add("classifier", Linear(last[1], num_classes), x))


def _cell(build: PlanBuilder, name: str, inputs: tuple[int, int], cell: Cell, channels: int, stride: int) -> int:
    """Add one cell; operators on its inputs have the stride."""
    nodes = list(inputs)
    for node in range(2, cell.num_nodes):
        terms = []
        for position, ((source, target), operator) in enumerate(zip(cell.edges, cell.edge_operators, strict=True)):
            if target == node:
                block = _operator(operator, channels, stride if source < 2 else 1)
                terms.append(build.add(f"{name}_node{node}{'ab'[position % 2]}", block, nodes[source]))
        nodes.append(build.add(f"{name}_node{node}", Sum(), *terms))
    return build.add(name, Concatenate(), *nodes[2:])


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
