"""Drop path: inputs of sums are left out at random in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archsearch.spaces.operators import Identity, Operator, Shape, Sum, Tensors
from archsearch.spaces.plan import Plan, Step


@dataclass
class DropRate:
    """Drop rate and random generators, shared by the sums of one network.

    Args:
        generators: Source of random numbers, one for each replica in the network.
        rate: Probability that an input is left out for an image, 0..1.
    """

    generators: Sequence[torch.Generator]
    rate: float = 0.0

    def begin(self, rate: float, sources: Sequence[torch.Generator], rank: int = 0) -> None:
        """Begin an epoch, with new generators seeded from the sources.

        Args:
            rate: Probability that an input is left out for an image, 0..1.
            sources: Generators, one a replica; a seed is drawn from each.
            rank: Number of this process among those that train together; each leaves out other inputs.
        """
        seeds = [int(torch.randint(2**62, (), generator=source, device=source.device)) for source in sources]
        self.rate, self.generators = rate, [torch.Generator().manual_seed(seed + rank) for seed in seeds]

    def states(self) -> list[Tensor]:
        """Return the states of the generators within an epoch."""
        return [generator.get_state() for generator in self.generators]

    def restore(self, states: Sequence[Tensor]) -> None:
        """Continue an epoch, after `begin`, from what `states` returned."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


class DropPathSum(Operator):
    """A sum whose inputs are left out at random, for each image separately, and scaled to keep the mean.

    With the rate p, each input x that may be dropped is replaced by x m / (1 - p), where m is 0 with probability p, else 1.

    G. Larsson et al., "FractalNet", ICLR 2017; in this form, where all inputs of a sum may be left out at once, in B. Zoph et
    al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018, and DARTS.

    Args:
        drop: Rate and generators.
        may_drop: Whether each input may be left out.
    """

    def __init__(self, drop: DropRate, may_drop: tuple[bool, ...]) -> None:
        self._drop, self._may_drop = drop, may_drop

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        if training and self._drop.rate > 0.0:
            inputs = [self._dropped(x) if may else x for x, may in zip(inputs, self._may_drop, strict=True)]
        return Sum().apply(inputs)

    def _dropped(self, x: Tensor) -> Tensor:
        """Return the input, set to zero for some images: other ones in each replica."""
        generators, keep = self._drop.generators, 1.0 - self._drop.rate
        drawn = [torch.rand(len(x), generator=generator, device=generator.device) < keep for generator in generators]
        mask = torch.stack(drawn, 1).to(x.device, x.dtype).div_(keep)
        mask = mask.repeat_interleave(x.shape[1] // len(generators), dim=1)
        return x * mask.view(*mask.shape, *[1] * (x.ndim - 2))


def with_drop_path(plan: Plan, drop: DropRate) -> Plan:
    """Return a plan whose sums leave out inputs in training; skip connections (`Identity`) and the images always stay."""
    operators: list[Operator | None] = [None, *(step.operator for step in plan.steps)]

    def changed(step: Step) -> Step:
        if not isinstance(step.operator, Sum):
            return step
        may_drop = tuple(slot > 0 and not isinstance(operators[slot], Identity) for slot in step.inputs)
        return replace(step, operator=DropPathSum(drop, may_drop))

    return Plan(plan.in_channels, tuple(changed(step) for step in plan.steps), plan.outputs)
