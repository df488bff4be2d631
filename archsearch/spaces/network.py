"""The trainable PyTorch module of an architecture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from archsearch.spaces.operators import Operator
from archsearch.spaces.plan import Plan


class OperatorModule(nn.Module):
    """Parameters and running statistics of one operator."""

    def __init__(self, operator: Operator, generator: torch.Generator) -> None:
        super().__init__()
        self.operator = operator
        for name, tensor in zip(operator.parameter_shapes(), operator.initial_parameters(generator), strict=True):
            self.register_parameter(name.replace(".", "_"), nn.Parameter(tensor))
        for name, tensor in zip(operator.buffer_shapes(), operator.initial_buffers(), strict=True):
            self.register_buffer(name.replace(".", "_"), tensor)

    def extra_repr(self) -> str:
        return repr(self.operator)


class Network(nn.Module):
    """Module that executes a plan with its own parameters.

    Args:
        plan: The network to execute.
        generator: Random generator of the initial weights; None uses a new one with seed 0.

    Shapes:
        input `[batch, in_channels, height, width]`; output `[batch, classes]`, or a list of these for several exits.
    """

    def __init__(self, plan: Plan, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.plan = plan
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.steps = nn.ModuleDict(
            {
                name: OperatorModule(operator, generator)
                for name, operator in plan.operators.items()
                if operator.parameter_shapes() or operator.buffer_shapes()
            }
        )

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        parameters: dict[str, Sequence[Tensor]] = dict.fromkeys(self.plan.operators, ())
        buffers: dict[str, Sequence[Tensor]] = dict.fromkeys(self.plan.operators, ())
        for name, module in self.steps.items():
            parameters[name] = tuple(module._parameters.values())  # type: ignore[arg-type]
            buffers[name] = tuple(module._buffers.values())  # type: ignore[arg-type]
        logits = self.plan.apply(images, parameters, buffers, self.training)
        return logits[0] if len(logits) == 1 else list(logits)


@torch.no_grad()
def take_side_by_side(stack: nn.Module, replicas: Sequence[nn.Module]) -> None:
    """Copy the parameters of several equal modules into the one module whose replicas they are."""
    for target, *parts in zip(stack.parameters(), *(replica.parameters() for replica in replicas), strict=True):
        target.copy_(torch.cat(parts))
