"""Multi-scale dense network (MSDNet): features at several scales in each layer, so that early exits see coarse ones.

G. Huang, D. Chen, T. Li, F. Wu, L. van der Maaten, K. Q. Weinberger, "Multi-Scale Dense Networks for Resource Efficient Image
Classification", ICLR 2018, arXiv 1703.09844, section 4. Sizes that the paper leaves open are those of the public PyTorch version
(kalviny/MSDNet-PyTorch, commit 0b0c543).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import Chain, Concatenate, GlobalAveragePool, Linear, conv_bn_relu
from archsearch.spaces.plan import Plan, PlanBuilder


def msdnet_plan(
    num_classes: int,
    in_channels: int,
    *,
    exits: int = 7,
    base: int = 4,
    step: int = 2,
    channels: int = 16,
    growth: int | None = None,
    factors: Sequence[int] = (1, 2, 4),
    classifier_channels: int | None = None,
) -> Plan:
    """Return a multi-scale dense network; the default is that of the paper for anytime prediction on CIFAR.

    The stem gives features at each scale, scale s at `1 / 2^s` of the image's size. Each layer then adds to the features of every
    scale those of two convolutions, one over the features of this scale and one with stride 2 over those of the next finer one;
    the finest has the first only. A convolution is 1x1 (the bottleneck), then 3x3, each with normalisation and ReLU. Exits read
    the coarsest scale. The layers are cut into as many parts as there are scales. With each part the finest scale ends;
    after the first layer of the new part a 1x1 convolution halves the channels of the others. What no exit needs is neither
    executed nor counted. Classifiers end with the mean over all positions, which for images of 32 x 32 is the paper's pooling.

    `channels` scales the whole network: 8 makes one of about a quarter of the cost.

    Args:
        num_classes: Classes of each exit.
        in_channels: Channels of the images.
        exits: Number of classifiers.
        base: Layers after the stem and before the first classifier.
        step: Layers between two classifiers.
        channels: Channels of the stem at the finest scale.
        growth: Channels that a layer adds at the finest scale; None takes 3 for each 8 of `channels` (6 of 16 in the paper).
        factors: Multiples of these channels at each scale, finest first.
        classifier_channels: Channels of the two convolutions of a classifier; None takes 8 times `channels` (128 in the paper).

    Raises:
        ConfigurationError: A size is below 1, or a scale that has two convolutions gets an odd number of channels from a layer.
    """
    growth = max(1, 3 * channels // 8) if growth is None else growth
    inner = 8 * channels if classifier_channels is None else classifier_channels
    sizes = {"exits": exits, "base": base, "step": step, "channels": channels, "growth": growth, "classifier_channels": inner}
    for name, size in {**sizes, "factors": min(factors, default=0)}.items():
        if size < 1:
            raise ConfigurationError(f"{name}: expected at least 1; got {size}.")
    if any(growth * factor % 2 for factor in factors[1:]):
        raise ConfigurationError(f"growth: expected an even number times each of the factors {tuple(factors)[1:]}; got {growth}.")
    layers = base + (exits - 1) * step
    part = -(-layers // len(factors))
    network = _Network(PlanBuilder(in_channels), tuple(factors), growth, channels)
    outputs: list[int] = []
    network.stem()
    for layer in range(layers):
        network.layer(f"layer{layer}", layer // part, max(0, layer - 1) // part)
        if layer + 1 >= base and (layer + 1 - base) % step == 0:
            outputs.append(network.classifier(f"exit{len(outputs)}", inner, num_classes))
    return network.build.finish(*outputs)


@dataclass
class _Network:
    """A network under construction: the slot of all features of each scale, and their number at the finest scale."""

    build: PlanBuilder
    factors: tuple[int, ...]
    growth: int
    width: int
    slots: tuple[int, ...] = ()

    def stem(self) -> None:
        slot, channels = self.build.input, self.build.in_channels
        for scale, factor in enumerate(self.factors):
            operator = conv_bn_relu(channels, self.width * factor, 3, 2 if scale else 1)
            slot, channels = self.build.add(f"stem_scale{scale}", operator, slot), self.width * factor
            self.slots += (slot,)

    def layer(self, name: str, first: int, first_before: int) -> None:
        """Add features to the scales from `first` on, reading those from `first_before` on."""
        slots = list(self.slots)
        for scale in range(first, len(slots)):
            prefix, width = f"{name}_scale{scale}", self.growth * self.factors[scale]
            if scale == first_before:
                new = [self.convolution(prefix, scale, width, 1)]
            else:
                down = self.convolution(f"{prefix}_down", scale - 1, width // 2, 2)
                new = [down, self.convolution(prefix, scale, width // 2, 1)]
            slots[scale] = self.build.add(f"{prefix}_join", Concatenate(), self.slots[scale], *new)
        self.slots, self.width = tuple(slots), self.width + self.growth
        if first > first_before:
            self.halve(f"{name}_transition", first)

    def convolution(self, name: str, scale: int, channels: int, stride: int) -> int:
        """Add a bottleneck and a 3x3 convolution over all features of a scale."""
        given = self.width * self.factors[scale]
        inner = min(given, self.factors[scale] * channels)
        links = (("narrow", conv_bn_relu(given, inner, 1)), ("wide", conv_bn_relu(inner, channels, 3, stride)))
        return self.build.add(name, Chain(links), self.slots[scale])

    def halve(self, name: str, first: int) -> None:
        half, slots = self.width // 2, list(self.slots)
        for scale in range(first, len(slots)):
            operator = conv_bn_relu(self.width * self.factors[scale], half * self.factors[scale], 1)
            slots[scale] = self.build.add(f"{name}_scale{scale}", operator, slots[scale])
        self.slots, self.width = tuple(slots), half

    def classifier(self, name: str, channels: int, num_classes: int) -> int:
        links = (
            ("conv0", conv_bn_relu(self.width * self.factors[-1], channels, 3, 2)),
            ("conv1", conv_bn_relu(channels, channels, 3, 2)),
            ("pool", GlobalAveragePool()),
            ("classifier", Linear(channels, num_classes)),
        )
        return self.build.add(name, Chain(links), self.slots[-1])
