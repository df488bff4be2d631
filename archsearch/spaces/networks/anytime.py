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
    RegionPool,
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


class Form(NamedTuple):
    """What the scale settings say of a network, apart from the channels; each is 1 in the network of the paper.

    Args:
        widening: Factor by which the nodes of a scale have more channels than those of the next finer one.
        relus: 1 rectifies the input of convolutions only; with 2 the output of stem, nodes and bridges is rectified too, after
            a normalisation with learned scale and shift, so that what is resized, pooled and joined is rectified.
        exit_nodes: Nodes that an exit reads: its own and, nearest first, those of its cell that this one depends on.
        exit_regions: Regions along each side of a map whose means a classifier reads.
    """

    widening: int = 1
    relus: int = 1
    exit_nodes: int = 1
    exit_regions: int = 1


def skeleton(
    build: Builder,
    cells: Sequence[NetworkCell],
    num_classes: int,
    *,
    channels: int,
    widening: int = 1,
    relus: int = 1,
    exit_nodes: int = 1,
    exit_regions: int = 1,
) -> tuple[int, ...]:
    """Add stem, cells with exits, and the last classifier, and return the slots of the exits, in the order of the nodes.

    Parameters are called `stem`, `cell0_node1`, `cell0_node1_exit` (its classifier), ..., `cell1_input` (the 1x1 convolution
    of the leaves of cell 0), ..., `classifier`. Cell k works at `1 / 2^k` of the image size or less, with `2^k * channels`
    channels, or more at coarser scales: `widening^j` times as many at scale `2^j`.

    Args:
        build: Receives the operators.
        cells: The cells in order.
        num_classes: Number of classes.
        channels: Channels of a node in the first cell, at scale 1.
        widening: As in `Form`, and so are the others.
        relus: Likewise.
        exit_nodes: Likewise.
        exit_regions: Likewise.
    """
    form = Form(widening, relus, exit_nodes, exit_regions)
    network = _AnytimeNetwork(build, num_classes, form)
    stem = _normalised(build, "stem", Convolution(build.in_channels, channels, (3, 3)), channels, build.input, relus)
    x = _Feature("stem", stem, channels, 1)
    leaves = network.cell("cell0", cells[0], x)
    for index, cell in enumerate(cells[1:], start=1):
        x = network.bridge(f"cell{index}_input", leaves, channels * 2**index, 2**index)
        leaves = network.cell(f"cell{index}", cell, x)
    features = build.add("leaves", Concatenate(), *(network.mean(leaf) for leaf in leaves))
    read = sum(leaf.channels for leaf in leaves) * exit_regions**2
    return (*network.exits, build.add("classifier", Linear(read, num_classes), features))


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
    form: Form
    exits: list[int] = field(default_factory=list)
    _derived: dict[tuple[int, int], int] = field(default_factory=dict)

    def cell(self, name: str, cell: NetworkCell, x: _Feature) -> list[_Feature]:
        """Add the nodes of a cell and their exits, and return its leaves."""
        features, needed = [x], [frozenset({0})]
        for number, (work, sources) in enumerate(cell.nodes, start=1):
            feature = self.node(f"{name}_node{number}", work, [features[source] for source in sources], x)
            features.append(feature)
            needed.append(frozenset({number}).union(*(needed[source] for source in sources)))
            if work.exit:
                nearest = sorted(needed[-1], reverse=True)[: self.form.exit_nodes]
                self.exit(f"{feature.name}_exit", [features[node] for node in nearest])
        return [features[leaf] for leaf in cell.leaves]

    def exit(self, name: str, read: Sequence[_Feature]) -> None:
        """Add a classifier of the means of one or several maps."""
        means = [self.mean(feature) for feature in read]
        width = sum(feature.channels for feature in read) * self.form.exit_regions**2
        self.exits.append(self.build.block(name, _classified, means, width, self.num_classes))

    def node(self, name: str, work: Work, sources: Sequence[_Feature], x: _Feature) -> _Feature:
        factor, channels = x.factor * work.scale, x.channels * self.form.widening ** (work.scale.bit_length() - 1)
        slots = [self.resized(source, factor) for source in sources]
        read = sum(source.channels for source in sources)
        slot = self.build.block(name, _node, slots, work.operator, read, channels, self.form.relus)
        return _Feature(name, slot, channels, factor)

    def bridge(self, name: str, leaves: Sequence[_Feature], channels: int, factor: int) -> _Feature:
        """Add the input of a cell: the leaves of the cell before, resized, concatenated and mixed by a 1x1 convolution."""
        x = _joined(self.build, name, [self.resized(leaf, factor) for leaf in leaves])
        operator = relu_conv(sum(leaf.channels for leaf in leaves), channels, 1)
        slot = _normalised(self.build, name, operator, channels, x, self.form.relus)
        return _Feature(name, slot, channels, factor)

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
        """Return the slot of the means of the rectified feature map, `[batch, channels * regions^2]`."""
        slot = self._derived.get((feature.slot, 0))
        if slot is None:
            slot = self.build.block(f"{feature.name}_mean", _mean, (feature.slot,), self.form.exit_regions)
            self._derived[feature.slot, 0] = slot
        return slot


def _node(build: Builder, name: str, inputs: Sequence[int], operator: str, read: int, channels: int, relus: int) -> int:
    """Concatenate inputs of one size, of `read` channels together, and add the operator and the normalisation of a node."""
    x = _joined(build, name, inputs)
    return _normalised(build, name, node_operator(operator, read, channels), channels, x, relus)


def _joined(build: Builder, name: str, inputs: Sequence[int]) -> int:
    return inputs[0] if len(inputs) == 1 else build.add(f"{name}_join", Concatenate(), *inputs)


def _mean(build: Builder, name: str, inputs: Sequence[int], regions: int) -> int:
    pool = GlobalAveragePool() if regions == 1 else RegionPool(regions)
    return build.add(name, Chain((("relu", ReLU()), ("pool", pool))), *inputs)


def _classified(build: Builder, name: str, inputs: Sequence[int], width: int, num_classes: int) -> int:
    return build.add(name, Linear(width, num_classes), _joined(build, name, inputs))


def _resized(build: Builder, name: str, inputs: Sequence[int], source: int, target: int) -> int:
    """Resize the first input from one factor to another; the second input, the images, gives the size of a larger map."""
    x, images = inputs
    if source > target:
        return build.add(name, Upsample(source, target), x, images)
    halvings = range((target // source).bit_length() - 1)
    return build.add(name, Chain(tuple((f"pool{halving}", AveragePool(2, 2)) for halving in halvings)), x)


def _normalised(build: Builder, name: str, operator: Operator, channels: int, x: int, relus: int) -> int:
    normalisation: Operator = BatchNorm(channels, affine=False)
    if relus > 1:
        normalisation = Chain((("bn", BatchNorm(channels)), ("relu", ReLU())))
    return build.add(f"{name}_bn", normalisation, build.add(name, operator, x))
