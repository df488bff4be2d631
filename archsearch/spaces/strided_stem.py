"""Networks for large images: a stem of strided convolutions in front of the network of a search space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.cost import Cost
from archsearch.spaces.graph import Graph, GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.builder import Builder
    from archsearch.spaces.plan import Plan

SETTING = "stem_halvings"


class StridedStem(SearchSpace):
    """A search space whose networks begin with 3x3 convolutions of stride 2; architectures and keys are those of `space`.

    Each convolution is followed by batch normalisation and ReLU. The first has half of the `channels` of the space, the others
    all of them. Three convolutions reduce 224 pixels to 28, as the stems of NASNet (mobile) and DARTS do on ImageNet (H. Liu et
    al., ICLR 2019, section 3.2; `NetworkImageNet` in the published program `cnn/model.py`, whose last two stem convolutions
    correspond to the first layer of the cells here). Their number is the scale setting `stem_halvings`.

    Args:
        space: A space with the scale setting `channels`.
        halvings: Default of `stem_halvings`, the number of strided convolutions.

    Raises:
        ConfigurationError: The space has no scale setting `channels`, or `halvings` is not a positive int.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.spaces.strided_stem import StridedStem
        >>> space = StridedStem(spaces.get("nasbench201"))
        >>> space.cost(space.from_genotype([3] * 6), (3, 224, 224), 1000).params
        1601520
    """

    def __init__(self, space: SearchSpace, halvings: int = 3) -> None:
        if "channels" not in space.scale_defaults:
            raise ConfigurationError(f"space: expected one with the scale setting 'channels'; got {space.name}.")
        self.space = space
        self.name, self.operators = space.name, space.operators  # type: ignore[misc]
        self.num_inputs, self.constrained = space.num_inputs, space.constrained  # type: ignore[misc]
        self.scale_defaults = {**space.scale_defaults, SETTING: halvings}  # type: ignore[misc]
        self.later_scale = space.later_scale  # type: ignore[misc]
        self.checked_scale({SETTING: halvings})

    def plan(self, architecture: Architecture, num_classes: int, in_channels: int, **scale: int) -> Plan:
        # Operators need torch; encoding does not.
        from archsearch.spaces.operators import conv_bn_relu
        from archsearch.spaces.plan import Plan, Step

        size = self.checked_scale(scale)
        halvings, channels = size.pop(SETTING), size["channels"]
        widths = [in_channels, max(1, channels // 2), *[channels] * (halvings - 1)]
        stem = tuple(
            Step(f"halving{number}", conv_bn_relu(widths[number], widths[number + 1], 3, stride=2), (number,))
            for number in range(halvings)
        )
        inner = self.space.plan(architecture, num_classes, widths[-1], **size)
        # The input of the inner network, slot 0, is the output of the stem.
        moved = (Step(step.name, step.operator, tuple(slot + halvings for slot in step.inputs)) for step in inner.steps)
        return Plan(in_channels, (*stem, *moved), tuple(slot + halvings for slot in inner.outputs))

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int | tuple[int, ...]:
        plan = self.plan(architecture, num_classes, build.in_channels, **scale)
        slots = [build.input]
        for step in plan.steps:
            slots.append(build.add(step.name, step.operator, *(slots[slot] for slot in step.inputs)))
        outputs = tuple(slots[slot] for slot in plan.outputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def cost(
        self,
        architecture: Architecture,
        input_shape: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 1000,
        **scale: int,
    ) -> Cost:
        return self.plan(architecture, num_classes, input_shape[0], **scale).cost(tuple(input_shape))

    @property
    def choices(self) -> Mapping[str, Sequence[Any]]:
        return self.space.choices

    @property
    def num_unique(self) -> int | None:
        return self.space.num_unique

    @property
    def num_listed(self) -> int | None:
        return self.space.num_listed

    def listed_graphs(self) -> GraphBatch:
        return self.space.listed_graphs()

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.space.vocabulary

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        return self.space.from_genotype(genotype)

    def genotype(self, architecture: Architecture) -> Genotype:
        return self.space.genotype(architecture)

    def parse(self, text: str) -> Architecture:
        return self.space.parse(text)

    def key(self, architecture: Architecture) -> str:
        return self.space.key(architecture)

    def keys(self, batch: GraphBatch) -> list[str]:
        return self.space.keys(batch)

    def representative(self, architecture: Architecture) -> Architecture:
        return self.space.representative(architecture)

    def representative_graphs(self, batch: GraphBatch) -> GraphBatch:
        return self.space.representative_graphs(batch)

    def canonical_graphs(self, batch: GraphBatch) -> GraphBatch:
        return self.space.canonical_graphs(batch)

    def spellings(self, batch: GraphBatch) -> tuple[GraphBatch, NDArray[np.int64]]:
        return self.space.spellings(batch)

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self.space.sample(rng)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        return self.space.mutate(architecture, rng)

    def graphs(self, architecture: Architecture) -> list[Graph]:
        return self.space.graphs(architecture)

    def encode(self, architectures: Sequence[Architecture]) -> GraphBatch:
        return self.space.encode(architectures)

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        return self.space.decode(batch)

    def __repr__(self) -> str:
        return f"StridedStem({self.space!r}, halvings={self.scale_defaults[SETTING]})"
