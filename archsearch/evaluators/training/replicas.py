"""Replicas: independent networks of one architecture stacked into one network, so that one pass trains them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network, take_side_by_side


def stacked_network(
    space: SearchSpace,
    architecture: Architecture,
    num_classes: int,
    in_channels: int,
    generators: Sequence[torch.Generator],
    scale: Mapping[str, int],
) -> Network:
    """Return one network of independent replicas side by side, each with the initial weights that it would have alone.

    It maps `[batch, replicas * in_channels, height, width]` to `[batch, replicas * num_classes]`.

    Args:
        space: Space of the architecture; for several replicas it needs the scale setting `replicas`.
        architecture: What to build.
        num_classes: Classes of each replica.
        in_channels: Image channels of each replica.
        generators: Source of the initial weights, one a replica.
        scale: Size settings of one replica.

    Raises:
        ConfigurationError: The scale does not fit the space.
    """
    replicas = [space.build(architecture, num_classes, in_channels, generator, **scale) for generator in generators]
    if len(replicas) == 1:
        return replicas[0]
    stack = space.build(architecture, num_classes, in_channels, None, **{**scale, "replicas": len(replicas)})
    take_side_by_side(stack, replicas)
    return stack
