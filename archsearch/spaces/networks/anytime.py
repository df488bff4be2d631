"""The network of the anytime space: cells with early exits (Zhang, Ren, Urtasun, ICLR 2019, section 5.2).

The order is ReLU, convolution, batch normalisation without parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Concatenate,
    Convolution,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Operator,
    ReLU,
    Upsample,
    relu_conv,
)
from archsearch.spaces.wiring import Work

NOMINAL_SIZE = 32
"""Image height and width at which exits are ordered by their MACs, so that the order does not depend on the image size."""


class NetworkCell(NamedTuple):
    """A cell: operator, scale, exit and predecessors of each node after the input, and the numbers of the leaves."""

    nodes: Sequence[tuple[Work, tuple[int, ...]]]
    leaves: tuple[int, ...]


def skeleton(build: Builder, cells: Sequence[NetworkCell], num_classes: int, *, channels: int) -> tuple[int, ...]:
    """Add stem, cells with exits, and the last classifier, and return the slots of the exits, in the order of the nodes.

    Parameters are called `stem`, `cell0_node1`, `cell0_node1_exit` (its classifier), ..., `cell1_input` (the 1x1 convolution
    of the leaves of cell 0), ..., `classifier`. Cell k works at `1 / 2^k` of the image size or less, with `2^k * channels`
    channels.

    Args:
        build: Receives the operators.
        cells: The cells in order.
        num_classes: Number of classes.
        channels: Channels of a node in the first cell.
    """
    network = _AnytimeNetwork(build, num_classes)
    stem = _normalised(build, "stem", Convolution(build.in_channels, channels, (3, 3)), channels, build.input)
    x = _Feature("stem", stem, channels, 1)
    leaves = network.cell("cell0", cells[0], x)
    for index, cell in enumerate(cells[1:], start=1):
        x = network.bridge(f"cell{index}_input", leaves, channels * 2**index, 2**index)
        leaves = network.cell(f"cell{index}", cell, x)
    features = build.add("leaves", Concatenate(), *(network.mean(leaf) for leaf in leaves))
    last = build.add("classifier", Linear(sum(leaf.channels for leaf in leaves), num_classes), features)
    return (*network.exits, last)


def node_operator(name: str, in_channels: int, channels: int) -> Operator:
    """Return the operator of a node, without normalisation; pooling is followed by a 1x1 convolution that mixes the inputs."""
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        pool = MaxPool(3) if name == "max_pool_3x3" else AveragePool(3)
        return Chain((("pool", pool), *relu_conv(in_channels, channels, 1).links))
    return relu_conv(in_channels, channels, {"conv_1x1": 1, "conv_3x3": 3, "conv_5x5": 5}[name])


class _Feature(NamedTuple):
    """A feature map: its name, its slot, its channels, and the factor by which it is smaller than the image."""

    name: str
    slot: int
    channels: int
    factor: int


@dataclass
class _AnytimeNetwork:
    """A network under construction and its exits so far; resized maps and means that several nodes use are computed once."""

    build: Builder
    num_classes: int
    exits: list[int] = field(default_factory=list)
    _derived: dict[tuple[int, int], int] = field(default_factory=dict)

    def cell(self, name: str, cell: NetworkCell, x: _Feature) -> list[_Feature]:
        """Add the nodes of a cell and their exits, and return its leaves."""
        features = [x]
        for number, (work, sources) in enumerate(cell.nodes, start=1):
            feature = self.node(f"{name}_node{number}", work, [features[source] for source in sources], x)
            features.append(feature)
            if work.exit:
                name_of_exit, mean = f"{feature.name}_exit", self.mean(feature)
                self.exits.append(self.build.block(name_of_exit, _classified, (mean,), feature.channels, self.num_classes))
        return [features[leaf] for leaf in cell.leaves]

    def node(self, name: str, work: Work, sources: Sequence[_Feature], x: _Feature) -> _Feature:
        factor = x.factor * work.scale
        slots = [self.resized(source, factor) for source in sources]
        return _Feature(name, self.build.block(name, _node, slots, work.operator, x.channels), x.channels, factor)

    def bridge(self, name: str, leaves: Sequence[_Feature], channels: int, factor: int) -> _Feature:
        """Add the input of a cell: the leaves of the cell before, resized, concatenated and mixed by a 1x1 convolution."""
        x = _joined(self.build, name, [self.resized(leaf, factor) for leaf in leaves])
        operator = relu_conv(sum(leaf.channels for leaf in leaves), channels, 1)
        return _Feature(name, _normalised(self.build, name, operator, channels, x), channels, factor)

    def resized(self, source: _Feature, factor: int) -> int:
        """Return a feature map at another size: 2x2 average pooling for each halving, or nearest-neighbour upsampling."""
        if source.factor == factor:
            return source.slot
        slot = self._derived.get((source.slot, factor))
        if slot is None:
            inputs = (source.slot, self.build.input)
            slot = self.build.block(f"{source.name}_at{factor}", _resized, inputs, source.factor, factor)
            self._derived[source.slot, factor] = slot
        return slot

    def mean(self, feature: _Feature) -> int:
        """Return the slot of the mean of the rectified feature map, `[batch, channels]`."""
        slot = self._derived.get((feature.slot, 0))
        if slot is None:
            slot = self._derived[feature.slot, 0] = self.build.block(f"{feature.name}_mean", _mean, (feature.slot,))
        return slot


def _node(build: Builder, name: str, inputs: Sequence[int], operator: str, channels: int) -> int:
    """Concatenate inputs of one size and add the operator and the normalisation of a node."""
    x = _joined(build, name, inputs)
    return _normalised(build, name, node_operator(operator, len(inputs) * channels, channels), channels, x)


def _joined(build: Builder, name: str, inputs: Sequence[int]) -> int:
    return inputs[0] if len(inputs) == 1 else build.add(f"{name}_join", Concatenate(), *inputs)


def _mean(build: Builder, name: str, inputs: Sequence[int]) -> int:
    return build.add(name, Chain((("relu", ReLU()), ("pool", GlobalAveragePool()))), *inputs)


def _classified(build: Builder, name: str, inputs: Sequence[int], channels: int, num_classes: int) -> int:
    return build.add(name, Linear(channels, num_classes), *inputs)


def _resized(build: Builder, name: str, inputs: Sequence[int], source: int, target: int) -> int:
    """Resize the first input from one factor to another; the second input, the images, gives the size of a larger map."""
    x, images = inputs
    if source > target:
        return build.add(name, Upsample(source, target), x, images)
    halvings = range((target // source).bit_length() - 1)
    return build.add(name, Chain(tuple((f"pool{halving}", AveragePool(2, 2)) for halving in halvings)), x)


def _normalised(build: Builder, name: str, operator: Operator, channels: int, x: int) -> int:
    return build.add(f"{name}_bn", BatchNorm(channels, affine=False), build.add(name, operator, x))
