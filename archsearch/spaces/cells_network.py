"""The network that is made of a block (Zhang, Ren, Urtasun, ICLR 2019, equation 7 and section 5.1).

Order of work: ReLU, convolution, normalisation. Normalisation has no parameters of its own and keeps statistics for each
application of an operator: two inputs of a node share the weights, not the mean and the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Concatenate,
    Convolution,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Operator,
    ReLU,
    Sum,
    relu_asymmetric_conv,
    relu_conv,
    relu_separable_conv,
)
from archsearch.spaces.plan import Plan, PlanBuilder
from archsearch.spaces.wiring import Node

STAGES = 3


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature map: its slot, its channels, and how often it has been halved."""

    slot: int
    channels: int
    halvings: int


def skeleton(
    nodes: Sequence[Node], leaves: Sequence[int], num_classes: int, in_channels: int, *, blocks: int, channels: int
) -> Plan:
    """Return stem, blocks in three stages, global pooling and classifier.

    Parameters are called `stem`, `block0_input0`, `block0_input1`, `block0_node2`, ..., `classifier`; a node has the number
    that it has in the cell. The names that end in `_bn`, or in `_bn` and the number of the node read, hold statistics alone.

    Args:
        nodes: The nodes of the block after its inputs.
        leaves: Numbers of the nodes that the output concatenates.
        num_classes: Classes to tell apart.
        in_channels: Channels of the images.
        blocks: Blocks in a row.
        channels: Channels of a node in the first stage; each of the other two doubles them and halves the image.
    """
    build = PlanBuilder(in_channels)
    x = build.add("stem", Convolution(in_channels, channels, (3, 3)), build.input)
    stem = _Feature(_normalised(build, "stem", x, channels), channels, 0)
    before, last = stem, stem
    for block in range(blocks):
        before, last = last, _block(build, f"block{block}", (before, last), nodes, leaves, channels, STAGES * block // blocks)
    x = build.add("pool", GlobalAveragePool(), build.add("last", ReLU(), last.slot))
    return build.finish(build.add("classifier", Linear(last.channels, num_classes), x))


def node_operator(name: str, channels: int) -> Operator:
    """Return the operator of a node, without normalisation."""
    return {
        "conv_1x1": relu_conv(channels, channels, 1),
        "sep_conv_3x3": relu_separable_conv(channels, channels, 3),
        "sep_conv_5x5": relu_separable_conv(channels, channels, 5),
        "dil_conv_3x3": relu_separable_conv(channels, channels, 3, dilation=2),
        "dil_conv_5x5": relu_separable_conv(channels, channels, 5, dilation=2),
        "conv_1x7_7x1": relu_asymmetric_conv(channels, 7),
        "max_pool_3x3": MaxPool(3),
        "avg_pool_3x3": AveragePool(3),
    }[name]


def _block(
    build: PlanBuilder,
    name: str,
    inputs: Sequence[_Feature],
    nodes: Sequence[Node],
    leaves: Sequence[int],
    channels: int,
    stage: int,
) -> _Feature:
    """Add bottlenecks, nodes and the concatenation of the leaves; a bottleneck halves what is larger than the block."""
    width = channels * 2**stage
    slots = []
    for number, source in enumerate(inputs):
        bottleneck = relu_conv(source.channels, width, 1, stride=2 ** (stage - source.halvings))
        x = build.add(f"{name}_input{number}", bottleneck, source.slot)
        slots.append(_normalised(build, f"{name}_input{number}", x, width))
    for number, node in enumerate(nodes, start=len(inputs)):
        slots.append(_node(build, f"{name}_node{number}", node, slots, width))
    output = build.add(f"{name}_output", Concatenate(), *(slots[leaf] for leaf in leaves))
    return _Feature(output, width * len(leaves), stage)


def _node(build: PlanBuilder, name: str, node: Node, slots: Sequence[int], channels: int) -> int:
    """Apply one operator with one set of weights to each input, and add the results up."""
    operator = node_operator(node.operator, channels)
    terms = []
    for source in node.predecessors:
        x = build.add(name, operator, slots[source])
        terms.append(_normalised(build, name, x, channels, str(source)) if operator.parameter_shapes() else x)
    return terms[0] if len(terms) == 1 else build.add(f"{name}_sum", Sum(), *terms)


def _normalised(build: PlanBuilder, name: str, x: int, channels: int, source: str = "") -> int:
    return build.add(f"{name}_bn{source}", BatchNorm(channels, affine=False), x)
