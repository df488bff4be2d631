"""The network of a NAS-Bench-101 cell (sections 2.1 and 2.2 and supplement of the paper, arXiv 1902.09635)."""

from __future__ import annotations

import math
from functools import lru_cache

from archsearch.errors import ConfigurationError
from archsearch.spaces.architecture import Cell
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.operators import (
    Concatenate,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Operator,
    Shape,
    Sum,
    Truncate,
    conv_bn_relu,
)


def skeleton(build: Builder, cell: Cell, num_classes: int, *, channels: int, cells_per_stack: int, stacks: int) -> int:
    """Add stem, stacks of cells with max-pooling between them, and classifier; return the slot of the logits.

    Args:
        build: Receives the operators.
        cell: The cell, pruned.
        num_classes: Number of classes.
        channels: Channels of the first stack; they double with each stack.
        cells_per_stack: Number of cells in each stack.
        stacks: Number of stacks.

    Raises:
        ConfigurationError: The first stack has fewer channels than vertices that feed the output of the cell.
    """
    x = build.add("stem", conv_bn_relu(build.in_channels, channels, 3), build.input)
    width = channels
    for stack in range(stacks):
        if stack:
            x = build.add(f"downsample{stack}", MaxPool(2, 2), x)
        for position in range(cells_per_stack):
            x = _add_cell(build, f"stack{stack}_cell{position}", x, cell, width, channels << stack)
            width = channels << stack
    x = build.add("pool", GlobalAveragePool(), x)
    return build.add("classifier", _classifier(width, num_classes), x)


def skeleton_cost(cell: Cell, input_shape: Shape, num_classes: int, *, channels: int, cells_per_stack: int, stacks: int) -> Cost:
    """Return the cost of the network of `skeleton` in about ten microseconds: equal cells are counted once."""
    in_channels, height, width = input_shape
    costs = [(1, _block_cost(in_channels, channels, 3, height, width))]
    before = channels
    for stack in range(stacks):
        here = channels << stack
        for times, entering in ((1, before), (cells_per_stack - 1, here)):
            for entering_block, leaving_block, kernel in _blocks(cell, entering, here):
                costs.append((times, _block_cost(entering_block, leaving_block, kernel, height, width)))
        height, width, before = -(-height // 2), -(-width // 2), here
    costs.append((1, _cost(_classifier(before, num_classes), (before,))))
    return Cost(sum(times * params for times, (params, _) in costs), sum(times * macs for times, (_, macs) in costs))


def vertex_channels(cell: Cell, in_channels: int, out_channels: int) -> list[int]:
    """Return the output channels of each vertex.

    The output concatenates the vertices that feed it, so these share its channels equally; the first ones get one more channel
    each if there is a remainder. Any other vertex has as many channels as the widest vertex that it feeds.

    Raises:
        ConfigurationError: There are fewer channels than vertices that feed the output.
    """
    last = cell.num_nodes - 1
    feeding = [source for source, target in cell.edges if target == last and source]
    if len(feeding) > out_channels:
        raise ConfigurationError(
            f"channels: expected at least {len(feeding)}, one for each vertex that feeds the output of the cell; "
            f"got {out_channels}."
        )
    channels = [in_channels, *[0] * (last - 1), out_channels]
    for rank, vertex in enumerate(sorted(feeding)):
        share, left = divmod(out_channels, len(feeding))
        channels[vertex] = share + (rank < left)
    for source in range(last - 1, 0, -1):
        if source not in feeding:
            channels[source] = max(channels[to] for start, to in cell.edges if start == source)
    return channels


def _add_cell(build: Builder, name: str, x: int, cell: Cell, in_channels: int, out_channels: int) -> int:
    channels, last = vertex_channels(cell, in_channels, out_channels), cell.num_nodes - 1
    slots = {0: x}
    for vertex in range(1, last):
        terms = _inputs(build, name, vertex, slots, cell, channels)
        total = terms[0] if len(terms) == 1 else build.add(f"{name}_sum{vertex}", Sum(), *terms)
        operator = _vertex_operator(cell.node_operators[vertex], channels[vertex])
        slots[vertex] = build.add(f"{name}_vertex{vertex}", operator, total)
    feeding = [slots[vertex] for vertex in range(1, last) if (vertex, last) in cell.edges]
    terms = [build.add(f"{name}_concat", Concatenate(), *feeding)] if len(feeding) > 1 else feeding
    if (0, last) in cell.edges:
        terms.append(build.add(f"{name}_project{last}", conv_bn_relu(in_channels, out_channels, 1), x))
    return terms[0] if len(terms) == 1 else build.add(f"{name}_sum{last}", Sum(), *terms)


def _inputs(build: Builder, name: str, vertex: int, slots: dict[int, int], cell: Cell, channels: list[int]) -> list[int]:
    """Fit the inputs of an interior vertex to its channels: project the cell's input, truncate the other vertices."""
    terms = []
    for source in range(vertex):
        if (source, vertex) not in cell.edges:
            continue
        slot = slots[source]
        if source == 0:
            slot = build.add(f"{name}_project{vertex}", conv_bn_relu(channels[0], channels[vertex], 1), slot)
        elif channels[source] > channels[vertex]:
            slot = build.add(f"{name}_truncate{source}{vertex}", Truncate(channels[vertex]), slot)
        terms.append(slot)
    return terms


def _classifier(channels: int, num_classes: int) -> Linear:
    return Linear(channels, num_classes, count_bias=False)


def _vertex_operator(name: str, channels: int) -> Operator:
    return MaxPool(3) if name == "maxpool3x3" else conv_bn_relu(channels, channels, _KERNELS[name])


_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}


def _blocks(cell: Cell, in_channels: int, out_channels: int) -> list[tuple[int, int, int]]:
    """Return input channels, output channels and kernel of each convolution of a cell."""
    channels = vertex_channels(cell, in_channels, out_channels)
    projections = [(in_channels, channels[target], 1) for source, target in cell.edges if source == 0]
    vertices = zip(channels, cell.node_operators, strict=True)
    return projections + [(width, width, _KERNELS[name]) for width, name in vertices if name in _KERNELS]


@lru_cache(maxsize=1 << 12)
def _block_cost(in_channels: int, out_channels: int, kernel: int, height: int, width: int) -> tuple[int, int]:
    return _cost(conv_bn_relu(in_channels, out_channels, kernel), (in_channels, height, width))


def _cost(operator: Operator, shape: Shape) -> tuple[int, int]:
    """Return parameters and MACs of an operator."""
    return sum(math.prod(size) for size in operator.parameter_shapes().values()), operator.macs(shape)
