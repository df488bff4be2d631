"""The memory of activations in a training step of a mixture and of a single path, computed before any step is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.mixture import Mix, mixed_plan
from archsearch.evaluators.supernet.places import Places
from archsearch.spaces import SearchSpace
from archsearch.spaces.operators import Chain, Identity, Operator, Shape
from archsearch.spaces.plan import Plan

_FLOAT = 4  # bytes


class StepMemory(NamedTuple):
    """Bytes of activations that a training step keeps for its backward pass; weights and buffers of kernels come on top.

    Args:
        mixed: With all operators of each place.
        path: With one operator at each place, the mean over the operators.
    """

    mixed: int
    path: int

    def sentence(self, batch_size: int) -> str:
        """Return the memory in words."""
        return (
            f"A training step of the mixed supernet keeps about {self.mixed / 2**20:,.0f} MiB of activations for {batch_size} "
            f"images, {self.mixed / self.path:.1f} times those of a single network."
        )

    def check(self, batch_size: int, device: torch.device) -> None:
        """Raise ConfigurationError if a mixed step needs more than the device has free.

        Raises:
            ConfigurationError: It does; the message has both figures.
        """
        free = free_memory(device)
        if free is not None and self.mixed > free:
            raise ConfigurationError(
                f"batch_size: expected one whose mixed step fits into {free / 2**20:,.0f} MiB of free memory. "
                f"{self.sentence(batch_size)} Give a smaller batch_size or scale, or take enas, which trains single paths."
            )


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a GPU or of the machine; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # such as macOS and Windows
        return None


def step_memory(space: SearchSpace, input_shape: Shape, batch_size: int, num_classes: int = 10, **scale: int) -> StepMemory:
    """Return the memory of a step; each operator of a chain keeps its output.

    Args:
        space: A space with places.
        input_shape: `(channels, height, width)` of an image.
        batch_size: Images in a batch.
        num_classes: Number of classes.
        **scale: Size of the networks.

    Raises:
        ConfigurationError: The space has no places.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.supernet.memory import step_memory
        >>> memory = step_memory(spaces.get("nasbench201"), (3, 16, 16), 64, channels=4, cells_per_stage=1)
        >>> memory.mixed > 2 * memory.path
        True
    """
    places = Places.of(space)

    def plan_of(genotype: Sequence[int]) -> Plan:
        return space.plan(space.from_genotype(genotype), num_classes, input_shape[0], **scale)

    base = [0] * len(places.sizes)
    mixed = mixed_plan(space, places, base, plan_of)
    shapes = mixed.shapes(input_shape)
    whole = math.prod(input_shape)
    for step, shape in zip(mixed.steps, shapes[1:], strict=True):
        if isinstance(step, Mix):
            whole += math.prod(shape)
        else:
            whole += _kept(step.operator, [shapes[slot] for slot in step.inputs])
    paths = []
    most = max(places.sizes[gene] for gene in places.operators)
    for number in range(most):
        genotype = [min(number, size - 1) if gene in places.operators else 0 for gene, size in enumerate(places.sizes)]
        plan = plan_of(genotype)
        slots = plan.shapes(input_shape)
        paths.append(
            math.prod(input_shape)
            + sum(_kept(step.operator, [slots[slot] for slot in step.inputs]) for _, step, _ in plan.live_steps)
        )
    return StepMemory(_FLOAT * batch_size * whole, _FLOAT * batch_size * sum(paths) // len(paths))


def _kept(operator: Operator, inputs: Sequence[Shape]) -> int:
    """Return the number of values that an operator keeps of one image."""
    if isinstance(operator, Identity):
        return 0
    if not isinstance(operator, Chain):
        return math.prod(operator.output_shape(*inputs))
    kept, shapes = 0, list(inputs)
    for _, link in operator.links:
        shapes = [link.output_shape(*shapes)]
        kept += math.prod(shapes[0])
    return kept
