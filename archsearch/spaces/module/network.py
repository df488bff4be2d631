"""Modules of users as networks: the form in which evaluators, surrogates and exports take every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archsearch.errors import ArchitectureError
from archsearch.spaces.module.building import Built
from archsearch.spaces.module.tracing import Trace, Untraceable, trace
from archsearch.spaces.network import Network
from archsearch.spaces.operators import Operator, Shape
from archsearch.spaces.plan import Plan, Step

_BATCH_STATISTICS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)


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
    def skeleton(self) -> nn.Module:
        """The module on the meta device."""
        return self.make(None)

    @property
    def module(self) -> nn.Module:
        """The module with the initial weights of seed 0, which `apply` runs with other weights; the last one is remembered."""
        global _last
        if _last is None or _last[0] is not self:
            with torch.inference_mode(False):  # its buffers are updated later, outside of that mode
                _last = self, self.make(torch.Generator().manual_seed(0))
        return _last[1]

    def traced(self, shape: Shape) -> Trace:
        """Return what the module computes of one image of a shape `(channels, height, width)`.

        Raises:
            ArchitectureError: The module cannot be traced.
        """
        try:
            return trace(Built(self.skeleton, (), ()), torch.empty((1, *shape), device="meta"))
        except Untraceable as error:
            raise ArchitectureError(
                f"architecture: the module of {self.text!r} cannot be traced on an image of the shape {tuple(shape)} ({error})."
            ) from error

    def parameter_shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.skeleton.named_parameters()}

    def buffer_shapes(self) -> dict[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.skeleton.named_buffers()}

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
        """Compute the output; without buffers normalisation uses the statistics of the batch, and nothing is dropped out."""
        module = self.module.to(inputs[0].device)
        state = dict(zip(self.parameter_shapes(), parameters, strict=True))
        if buffers:
            state |= dict(zip(self.buffer_shapes(), buffers, strict=True))
            module.train(training)
        else:
            module.eval()
            for part in module.modules():
                if isinstance(part, _BATCH_STATISTICS):
                    part.train()
        result: Tensor = functional_call(module, state, tuple(inputs))
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


_last: tuple[ModuleOperator, nn.Module] | None = None
"""The module that ran last: networks run batch after batch, and a population of modules would fill the memory."""


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

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Call the module on its inputs; in trainings these are images."""
        return self.module(*inputs, **named)
