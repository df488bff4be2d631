"""The network that is made of the cells of the anytime space (Zhang, Ren, Urtasun, ICLR 2019, section 5.2).

Order of work: ReLU, convolution, normalisation without parameters of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from archsearch.spaces.anytime import Work
from archsearch.spaces.exits import cheapest_exits_first
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
from archsearch.spaces.plan import Plan, PlanBuilder

NOMINAL_SIZE = 32
"""Height and width of the images for which exits are put in the order of their MACs, so that it is one order for all sizes."""


class NetworkCell(NamedTuple):
    """A cell: what each node after the input does and reads, and the numbers of the nodes that lead on."""

    nodes: tuple[tuple[Work, tuple[int, ...]], ...]
    leaves: tuple[int, ...]


def skeleton(cells: Sequence[NetworkCell], num_classes: int, in_channels: int, *, channels: int) -> Plan:
    """Return stem, cells with exits, and the last classifier, exits in the order of their MACs.

    Parameters are called `stem`, `cell0_node1`, `cell0_node1_exit` (its classifier), ..., `cell1_input` (the 1x1 convolution
    of the leaves before), ..., `classifier`. Cell k works at `1 / 2^k` of the image's size or less, with
    `2^k * channels` channels.

    Args:
        cells: The cells in order.
        num_classes: Classes to tell apart.
        in_channels: Channels of the images.
        channels: Channels of a node in the first cell.
    """
    network = _AnytimeNetwork(PlanBuilder(in_channels), num_classes)
    x = _Feature("stem", network.normalised("stem", Convolution(in_channels, channels, (3, 3)), channels, 0), channels, 1)
    leaves = network.cell("cell0", cells[0], x)
    for index, cell in enumerate(cells[1:], start=1):
        x = network.bridge(f"cell{index}_input", leaves, channels * 2**index, 2**index)
        leaves = network.cell(f"cell{index}", cell, x)
    features = network.build.add("leaves", Concatenate(), *(network.pooled(leaf) for leaf in leaves))
    last = network.build.add("classifier", Linear(sum(leaf.channels for leaf in leaves), num_classes), features)
    plan = network.build.finish(*network.exits, last)
    return cheapest_exits_first(plan, (in_channels, NOMINAL_SIZE, NOMINAL_SIZE))


def node_operator(name: str, in_channels: int, channels: int) -> Operator:
    """Return the operator of a node, without normalisation; a pool is followed by the 1x1 convolution that joins its inputs."""
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        pool = MaxPool(3) if name == "max_pool_3x3" else AveragePool(3)
        return Chain((("pool", pool), *relu_conv(in_channels, channels, 1).links))
    return relu_conv(in_channels, channels, {"conv_1x1": 1, "conv_3x3": 3, "conv_5x5": 5}[name])


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature map: its name, its slot, its channels, and the factor by which it is smaller than the image."""

    name: str
    slot: int
    channels: int
    factor: int


@dataclass
class _AnytimeNetwork:
    """A plan under construction, with its exits so far; what several nodes need alike is computed once."""

    build: PlanBuilder
    num_classes: int
    exits: list[int] = field(default_factory=list)
    _derived: dict[str, int] = field(default_factory=dict)

    def cell(self, name: str, cell: NetworkCell, x: _Feature) -> list[_Feature]:
        """Add the nodes of a cell and their exits, and return its leaves."""
        features = [x]
        for number, (work, sources) in enumerate(cell.nodes, start=1):
            feature = self.node(f"{name}_node{number}", work, [features[source] for source in sources], x)
            features.append(feature)
            if work.exit:
                classifier = Linear(feature.channels, self.num_classes)
                self.exits.append(self.build.add(f"{feature.name}_exit", classifier, self.pooled(feature)))
        return [features[leaf] for leaf in cell.leaves]

    def node(self, name: str, work: Work, sources: Sequence[_Feature], x: _Feature) -> _Feature:
        factor = x.factor * work.scale
        operator = node_operator(work.operator, len(sources) * x.channels, x.channels)
        slot = self.normalised(name, operator, x.channels, self.joined(name, sources, factor))
        return _Feature(name, slot, x.channels, factor)

    def bridge(self, name: str, leaves: Sequence[_Feature], channels: int, factor: int) -> _Feature:
        """Add the input of a cell: the leaves of the cell before, brought to its size and mixed by a 1x1 convolution."""
        operator = relu_conv(sum(leaf.channels for leaf in leaves), channels, 1)
        return _Feature(name, self.normalised(name, operator, channels, self.joined(name, leaves, factor)), channels, factor)

    def joined(self, name: str, sources: Sequence[_Feature], factor: int) -> int:
        slots = [self.resized(source, factor) for source in sources]
        return slots[0] if len(slots) == 1 else self.build.add(f"{name}_join", Concatenate(), *slots)

    def resized(self, source: _Feature, factor: int) -> int:
        """Bring a feature map to another size: 2x2 averages, once for each halving, or repeated positions."""
        if source.factor == factor:
            return source.slot
        name = f"{source.name}_at{factor}"
        if name not in self._derived:
            if source.factor > factor:
                self._derived[name] = self.build.add(name, Upsample(source.factor, factor), source.slot, self.build.input)
            else:
                halvings = range((factor // source.factor).bit_length() - 1)
                pools = Chain(tuple((f"pool{halving}", AveragePool(2, 2)) for halving in halvings))
                self._derived[name] = self.build.add(name, pools, source.slot)
        return self._derived[name]

    def pooled(self, feature: _Feature) -> int:
        """Return the mean of the rectified feature map, `[batch, channels]`."""
        name = f"{feature.name}_mean"
        if name not in self._derived:
            operator = Chain((("relu", ReLU()), ("pool", GlobalAveragePool())))
            self._derived[name] = self.build.add(name, operator, feature.slot)
        return self._derived[name]

    def normalised(self, name: str, operator: Operator, channels: int, x: int) -> int:
        return self.build.add(f"{name}_bn", BatchNorm(channels, affine=False), self.build.add(name, operator, x))
