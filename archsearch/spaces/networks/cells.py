"""The network of the cells space: blocks in three stages (Zhang, Ren, Urtasun, ICLR 2019, section 5.1).

A node v sums its operator over the nodes u that it reads, with the same weights (equation 7):
`x_v = sum over u of f(x_u; w_v)`. The order is ReLU, convolution, batch normalisation. Normalisation has no parameters and keeps
separate statistics for each application of an operator: two inputs of a node share the weights, not the mean and variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from archsearch.spaces.builder import Builder
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
from archsearch.spaces.wiring import Node

STAGES = 3


class _Feature(NamedTuple):
    """A feature map: its slot, its channels, and the number of times that its size has been halved."""

    slot: int
    channels: int
    halvings: int


def skeleton(
    build: Builder, nodes: Sequence[Node], leaves: tuple[int, ...], num_classes: int, *, blocks: int, channels: int
) -> int:
    """Add stem, blocks in three stages, global pooling and classifier, and return the slot of the logits.

    Parameters are called `stem`, `block0_input0`, `block0_input1`, `block0_node2`, ..., `classifier`; a node keeps its
    number in the cell. Names that end in `_bn`, or in `_bn` and the position of the input, hold running statistics only.

    Args:
        build: Receives the operators.
        nodes: The nodes of the block after its inputs.
        leaves: Numbers of the nodes that the output concatenates.
        num_classes: Number of classes.
        blocks: Number of blocks in sequence.
        channels: Channels of a node in the first stage; each further stage doubles them and halves the image.
    """
    x = build.add("stem", Convolution(build.in_channels, channels, (3, 3)), build.input)
    stem = _Feature(_normalised(build, "stem", x, channels), channels, 0)
    before, last, block_nodes = stem, stem, tuple(nodes)
    for number in range(blocks):
        name, stage = f"block{number}", STAGES * number // blocks
        width = channels * 2**stage
        # A bottleneck also brings inputs of a larger size to that of the block.
        inputs = [
            build.block(f"{name}_input{i}", _bottleneck, (x.slot,), x.channels, width, 2 ** (stage - x.halvings))
            for i, x in enumerate((before, last))
        ]
        output = build.block(name, _block, inputs, block_nodes, leaves, width)
        before, last = last, _Feature(output, width * len(leaves), stage)
    x = build.add("pool", GlobalAveragePool(), build.add("last", ReLU(), last.slot))
    return build.add("classifier", Linear(last.channels, num_classes), x)


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


def _block(build: Builder, name: str, inputs: Sequence[int], nodes: Sequence[Node], leaves: Sequence[int], channels: int) -> int:
    """Add the nodes of a block and the concatenation of its leaves."""
    slots = list(inputs)
    for number, (operator, predecessors) in enumerate(nodes, start=len(inputs)):
        slots.append(build.block(f"{name}_node{number}", _node, [slots[source] for source in predecessors], operator, channels))
    return build.add(f"{name}_output", Concatenate(), *(slots[leaf] for leaf in leaves))


def _bottleneck(build: Builder, name: str, inputs: Sequence[int], in_channels: int, channels: int, stride: int) -> int:
    return _normalised(build, name, build.add(name, relu_conv(in_channels, channels, 1, stride), *inputs), channels)


def _node(build: Builder, name: str, inputs: Sequence[int], operator_name: str, channels: int) -> int:
    """Apply one operator with shared weights to each input, and sum the results."""
    operator = node_operator(operator_name, channels)
    terms = []
    for position, source in enumerate(inputs):
        x = build.add(name, operator, source)
        terms.append(_normalised(build, name, x, channels, str(position)) if operator.parameter_shapes() else x)
    return terms[0] if len(terms) == 1 else build.add(f"{name}_sum", Sum(), *terms)


def _normalised(build: Builder, name: str, x: int, channels: int, position: str = "") -> int:
    return build.add(f"{name}_bn{position}", BatchNorm(channels, affine=False), x)
