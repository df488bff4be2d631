"""A network as a list of operator applications, executed by trainable modules and with generated weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.operators import Operator, Shape

Parameters = Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Step:
    """One application of an operator.

    Args:
        name: Name of the parameters. Steps of the same name share them.
        operator: The operator to apply.
        inputs: Slots that it reads. Slot 0 holds the images, slot `i + 1` the output of step `i`.
    """

    name: str
    operator: Operator
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """A network in execution order, without weights.

    Args:
        in_channels: Channels of the input images.
        steps: The operator applications, in order.
        outputs: Slots of the logits, one per exit.
    """

    in_channels: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    @cached_property
    def operators(self) -> dict[str, Operator]:
        """The operators by the name of their parameters."""
        return {step.name: step.operator for step in self.steps}

    @cached_property
    def live_steps(self) -> tuple[tuple[int, Step, tuple[int, ...]], ...]:
        """The steps that an output depends on: `(slot written, step, slots that are not needed afterwards)`."""
        needed = set(self.outputs)
        live: list[tuple[int, Step, tuple[int, ...]]] = []
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if index + 1 in needed:
                live.append((index + 1, step, tuple(slot for slot in set(step.inputs) if slot not in needed)))
                needed.update(step.inputs)
        return tuple(reversed(live))

    def shapes(self, input_shape: Shape) -> list[Shape]:
        """Return the shape of every slot for an input of shape `(channels, height, width)`."""
        shapes = [tuple(input_shape)]
        for step in self.steps:
            shapes.append(step.operator.output_shape(*(shapes[slot] for slot in step.inputs)))
        return shapes

    def cost(self, input_shape: Shape) -> Cost:
        """Return parameters and MACs of all steps, including those that no output depends on."""
        shapes = self.shapes(input_shape)
        macs = sum(step.operator.macs(*(shapes[slot] for slot in step.inputs)) for step in self.steps)
        params = sum(math.prod(shape) for operator in self.operators.values() for shape in operator.parameter_shapes().values())
        return Cost(params, macs)

    def apply(
        self, images: Tensor, parameters: Parameters, buffers: Parameters | None = None, training: bool = True
    ) -> tuple[Tensor, ...]:
        """Execute the network.

        Args:
            images: `[batch, channels, height, width]`.
            parameters: The tensors of each name in `operators`, in the operator's order.
            buffers: The running statistics of each name; None normalises by the statistics of the batch.
            training: As in `Operator.apply`.

        Returns:
            The logits `[batch, classes]` of each exit.
        """
        slots: dict[int, Tensor] = {0: images}
        for slot, step, finished in self.live_steps:
            inputs = [slots[source] for source in step.inputs]
            slots[slot] = step.operator.apply(inputs, parameters[step.name], buffers[step.name] if buffers else (), training)
            for source in finished:
                del slots[source]
        return tuple(slots[slot] for slot in self.outputs)


class PlanBuilder(Builder):
    """Collects the steps of a plan.

    Args:
        in_channels: Channels of the images.

    Raises:
        ConfigurationError: Two operators or two blocks use the same name, or a block reads a slot that is not among its inputs.

    Example:
        >>> from archsearch.spaces.operators import GlobalAveragePool, Linear, conv_bn
        >>> from archsearch.spaces.plan import PlanBuilder
        >>> build = PlanBuilder(in_channels=3)
        >>> x = build.add("stem", conv_bn(3, 16, 3), build.input)
        >>> x = build.add("pool", GlobalAveragePool(), x)
        >>> plan = build.finish(build.add("classifier", Linear(16, 10), x))
        >>> plan.cost((3, 32, 32)).params
        634
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.steps: list[Step] = []
        self._scope = _Scope("", frozenset(), -1)
        self._named: dict[str, tuple[Operator, _Scope]] = {}

    def add(self, name: str, operator: Operator, *inputs: int) -> int:
        known, scope = self._named.setdefault(name, (operator, self._scope))
        if scope is not self._scope or (known is not operator and known != operator):
            raise ConfigurationError(
                f"name: expected one operator of one block under each name; got {name!r} again. Give the other one its own name."
            )
        for slot in inputs:
            if slot <= self._scope.before and slot not in self._scope.inputs:
                raise ConfigurationError(
                    f"inputs: expected slots that the block {self._scope.name!r} was given or wrote; got {slot} at {name!r}. "
                    "Give the block what it reads."
                )
        self.steps.append(Step(name, operator, inputs))
        return len(self.steps)

    def block(self, name: str, make: Callable[..., int], inputs: Sequence[int], *arguments: Hashable) -> int:
        outer, self._scope = self._scope, _Scope(name, frozenset(inputs), len(self.steps))
        output = make(self, name, tuple(inputs), *arguments)
        self._scope = outer
        return output

    def finish(self, *outputs: int) -> Plan:
        """Return the plan whose exits are the slots `outputs`."""
        return Plan(self.in_channels, tuple(self.steps), outputs)


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """A block under construction, or the network around all blocks.

    Args:
        name: Name of the block.
        inputs: Slots that are its inputs.
        before: The last slot written before it.
    """

    name: str
    inputs: frozenset[int]
    before: int


def initial_parameters(plan: Plan, generator: torch.Generator) -> dict[str, tuple[Tensor, ...]]:
    """Return newly initialised parameters of a plan by step name, in the order of its steps."""
    return {name: operator.initial_parameters(generator) for name, operator in plan.operators.items()}
