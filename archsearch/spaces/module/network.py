"""Modules of users as networks: the form in which evaluators, surrogates and exports take every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archsearch.spaces.network import Network
from archsearch.spaces.operators import Operator, Shape
from archsearch.spaces.plan import Plan, Step


@dataclass(frozen=True)
class ModuleOperator(Operator):
    """A whole module as one operator.

    Args:
        text: What is built, as text; operators of one space and text are equal.
        make: Function of a generator that returns the module with initial weights; None returns it on the meta device.
        output: Function from the shape of an image to that of its output.
        count: Function from the shape of an image to the multiply-accumulates.
        source: Function from a title and further source to the module as a Python file.
    """

    text: str
    make: Callable[[torch.Generator | None], nn.Module] = field(compare=False, repr=False)
    output: Callable[[Shape], Shape] = field(compare=False, repr=False)
    count: Callable[[Shape], int] = field(compare=False, repr=False)
    source: Callable[[str, str], str] = field(compare=False, repr=False)

    @cached_property
    def _skeleton(self) -> nn.Module:
        return self.make(None)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self._skeleton.named_parameters()}

    def buffer_shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self._skeleton.named_buffers()}

    def initial_parameters(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(parameter.detach() for parameter in self.make(generator).parameters())

    def initial_buffers(self) -> tuple[Tensor, ...]:
        return tuple(self.make(torch.Generator().manual_seed(0)).buffers())

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.output(inputs[0])

    def macs(self, *inputs: Shape) -> int:
        return self.count(inputs[0])

    def apply(
        self, inputs: Sequence[Tensor], parameters: Sequence[Tensor] = (), buffers: Sequence[Tensor] = (), training: bool = True
    ) -> Tensor:
        buffers = buffers or [tensor.to(inputs[0].device) for tensor in self.initial_buffers()]
        names = [*self.parameter_shapes(), *self.buffer_shapes()]
        state = dict(zip(names, (*parameters, *buffers), strict=True))
        result: Tensor = functional_call(self._skeleton.train(training), state, tuple(inputs), strict=True)
        return result


class _Held(nn.Module):
    """The user's module, as the one step of a plan; its parameters and buffers are in the order of the operator."""

    def __init__(self, operator: ModuleOperator, module: nn.Module) -> None:
        super().__init__()
        self.operator, self.module = operator, module


class ModuleNetwork(Network):
    """The network of a module: it calls the module itself.

    Args:
        operator: The module as an operator.
        in_channels: Channels of the images.
        module: The module with its weights.

    Attributes:
        module: The user's module.
    """

    name = "module"

    def __init__(self, operator: ModuleOperator, in_channels: int, module: nn.Module) -> None:
        nn.Module.__init__(self)
        self.plan = Plan(in_channels, (Step(self.name, operator, (0,)),), (1,))
        self._own_plan = self.plan
        self.steps = nn.ModuleDict({self.name: _Held(operator, module)})

    def source(self, title: str, extra: str = "") -> str:
        """Return the module as a Python file; see `module_source`."""
        operator = self._own_plan.steps[0].operator
        assert isinstance(operator, ModuleOperator)
        return operator.source(title, extra)

    @property
    def module(self) -> nn.Module:
        """The user's module."""
        held: nn.Module = self.steps[self.name].module  # type: ignore[assignment]
        return held

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        result: Tensor | list[Tensor] = self.module(images)
        return result
