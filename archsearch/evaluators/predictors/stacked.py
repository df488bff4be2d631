"""Layers of several models side by side: each parameter has a first axis, the members of an ensemble.

A member has its own generator, from which its weights and its dropout are drawn in the same order as if it were alone. So a
model of several members is those models, trained in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Generators = Sequence[torch.Generator]


def drawn(generators: Generators, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
    """Return `[members, ...]`: what `draw` makes with the generator of each member."""
    return torch.stack([draw(generator) for generator in generators])


def uniform(generators: Generators, shape: tuple[int, ...], bound: float) -> nn.Parameter:
    """Return a parameter `[members, *shape]`, uniform from `-bound` to `bound`."""
    return nn.Parameter(drawn(generators, lambda g: (2.0 * torch.rand(shape, generator=g, device=g.device) - 1.0).mul_(bound)))


def normal(generators: Generators, shape: tuple[int, ...], scale: float = 1.0) -> nn.Parameter:
    """Return a parameter `[members, *shape]` of normal values with mean 0 and a standard deviation of `scale`."""
    return nn.Parameter(scale * drawn(generators, lambda g: torch.randn(shape, generator=g, device=g.device)))


class Linear(nn.Module):
    """`x W + b` for each member, drawn as in `torch.nn.Linear`: uniform up to 1 / sqrt(inputs).

    Args:
        inputs: Features in.
        outputs: Features out.
        generators: One for each member.
    """

    def __init__(self, inputs: int, outputs: int, generators: Generators) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = uniform(generators, (inputs, outputs), bound)
        self.bias = uniform(generators, (1, outputs), bound)

    def forward(self, values: Tensor) -> Tensor:
        """Map `[members, rows, inputs]` to `[members, rows, outputs]`."""
        return torch.baddbmm(self.bias, values, self.weight)


def times(values: Tensor, weight: Tensor) -> Tensor:
    """Multiply `[members, ..., inputs]` by `[members, inputs, outputs]`, member by member."""
    return torch.bmm(values.flatten(1, -2), weight).view(*values.shape[:-1], -1)


def chosen(table: Tensor, index: Tensor) -> Tensor:
    """Look rows of a small table up: a product with zeros and ones, whose gradient is far cheaper than that of indexing.

    Args:
        table: `[members, rows, features]`.
        index: `[members or 1, ...]`, whole numbers; where it is `rows` or more the result is zero.

    Returns:
        `[members, ..., features]`.
    """
    places = torch.arange(table.shape[1], device=index.device, dtype=index.dtype)
    marks = (index.flatten(1).unsqueeze(-1) == places).to(table.dtype)
    return torch.matmul(marks, table).view(len(table), *index.shape[1:], -1)


def dropped(values: Tensor, rate: float, generators: Generators) -> Tensor:
    """Set a share of `[members, ...]` to zero and scale up the rest, with the generator of each member."""
    if rate == 0.0:
        return values
    kept = torch.empty_like(values)
    for member, generator in zip(kept, generators, strict=True):
        member.bernoulli_(1.0 - rate, generator=generator)
    return values * kept.div_(1.0 - rate)
