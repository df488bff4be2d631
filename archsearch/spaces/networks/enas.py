"""The network of the ENAS space, as in the authors' search (H. Pham et al., arXiv 1802.03268, section 2.3).

The details follow the network with shared parameters in `src/cifar10/general_child.py` of github.com/melodyguan/enas.
"""

from __future__ import annotations

from collections.abc import Sequence

from archsearch.errors import ConfigurationError
from archsearch.spaces.architecture import Cell
from archsearch.spaces.builder import Builder
from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    FactorizedReduction,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    Sum,
    conv_bn,
    conv_bn_relu,
    separable_conv_bn,
)


def skeleton(build: Builder, cell: Cell, num_classes: int, *, channels: int, stages: int, growth: int) -> int:
    """Add stem, layers with the size halved between stages, global pool and classifier; return the slot of the logits.

    A layer is the sum of its operator's output and the outputs that its skip connections read. From the second layer on, where
    skip connections are possible, the sum is batch-normalised even if there is no skip connection. Between stages, each output
    that a later layer reads is brought to the new size by its own factorized reduction.

    Args:
        build: Receives the operators.
        cell: The cell: vertex 0 is the stem, the last vertex the output, and each other vertex a layer.
        num_classes: Number of classes.
        channels: Channels of the first stage.
        stages: Number of stages of `layers // stages` layers each; the last one also has the remainder.
        growth: Factor by which the channels grow between stages.

    Raises:
        ConfigurationError: There are more stages than layers.
    """
    layers, width = cell.num_nodes - 2, channels
    if stages > layers:
        raise ConfigurationError(f"scale['stages']: expected at most {layers}, one for each layer; got {stages}.")
    starts = {stage * (layers // stages) + 1 for stage in range(1, stages)}
    slots = {0: build.add("stem", conv_bn(build.in_channels, width, 3), build.input)}
    for layer in range(1, layers + 1):
        if layer in starts:
            read_later = sorted({source for source, target in cell.edges if source < layer <= target})
            slots = {
                vertex: build.block(f"layer{layer}_reduction{vertex}", _reduced, (slots[vertex],), width, growth * width)
                for vertex in read_later
            }
            width *= growth
        x = build.block(f"layer{layer}_operator", _applied, (slots[layer - 1],), cell.node_operators[layer], width)
        skips = [slots[source] for source, target in cell.edges if target == layer and source < layer - 1]
        if skips:
            x = build.add(f"layer{layer}_sum", Sum(), *skips, x)
        slots[layer] = build.add(f"layer{layer}_bn", BatchNorm(width), x) if layer > 1 else x
    x = build.add("pool", GlobalAveragePool(), slots[layers])
    return build.add("classifier", Linear(width, num_classes), x)


def _operator(name: str, channels: int) -> Chain:
    """Return 1x1 convolution, BN, ReLU, then convolution, BN, ReLU or pooling."""
    kind, kernel = name[:-3], int(name[-1])
    mix = ("mix", conv_bn_relu(channels, channels, 1))
    if kind == "conv":
        return Chain((mix, *conv_bn_relu(channels, channels, kernel).links))
    if kind == "sep":
        return Chain((mix, *separable_conv_bn(channels, channels, kernel).links, ("relu", ReLU())))
    return Chain((mix, ("pool", AveragePool(kernel) if kind == "avg" else MaxPool(kernel))))


def _applied(build: Builder, name: str, inputs: Sequence[int], operator: str, channels: int) -> int:
    return build.add(name, _operator(operator, channels), *inputs)


def _reduced(build: Builder, name: str, inputs: Sequence[int], in_channels: int, out_channels: int) -> int:
    convolution = FactorizedReduction(in_channels, out_channels)
    return build.add(name, Chain((("conv", convolution), ("bn", BatchNorm(out_channels)))), *inputs)
