"""Stacked layers: the models of an ensemble trained side by side, its members the first axis of each parameter.

A member has its own generator, from which its weights and its dropout are drawn in the same order as if it were alone. So a model
of several members equals that many models of one member, trained in one pass.
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


def all_gates(linears: Sequence[Linear], embeddings: Tensor) -> Tensor:
    """Return the gates that layers make of embedded operators, `[layers, members, operators, width]`, in one product for all."""
    weight, bias = (torch.cat(parts, dim=2) for parts in zip(*((each.weight, each.bias) for each in linears), strict=True))
    gates: Tensor = torch.baddbmm(bias, embeddings, weight).sigmoid()
    members, operators, _ = gates.shape
    return gates.view(members, operators, len(linears), -1).permute(2, 0, 1, 3).contiguous()


def times(values: Tensor, weight: Tensor) -> Tensor:
    """Multiply `[members, ..., inputs]` by `[members, inputs, outputs]`, member by member."""
    return torch.bmm(values.flatten(1, -2), weight).view(*values.shape[:-1], -1)


def chosen(table: Tensor, index: Tensor) -> Tensor:
    """Look rows of a small table up: a product with zeros and ones, whose gradient is far cheaper than that of indexing.

    Args:
        table: `[members, rows, features]`.
        index: `[members or 1, ...]` integers; where one is `rows` or more the result is zero.

    Returns:
        `[members, ..., features]`.
    """
    return torch.matmul(marked(index.flatten(1), table.shape[1], table.dtype), table).view(len(table), *index.shape[1:], -1)


def marked(index: Tensor, rows: int, dtype: torch.dtype) -> Tensor:
    """Return `[..., rows]`: 1 at the place that the index names, 0 elsewhere and where the index is `rows` or more."""
    places = torch.arange(rows, device=index.device, dtype=index.dtype)
    return (index.unsqueeze(-1) == places).to(dtype)


def dropout_masks(shapes: Sequence[Sequence[int]], rate: float, generators: Generators) -> list[Tensor]:
    """Return the factors of dropout: zero for a share of the values, and 1 / (1 - rate) for the rest.

    All masks come from one draw of 16 bits a value, which is an order of magnitude faster than a draw of floats a mask. The share
    is a multiple of 1 / 65,536.

    Args:
        shapes: Shape of the values of one member, for each mask.
        rate: The share of zeros.
        generators: One for each member.

    Returns:
        `[members, *shape]` each.
    """
    sizes = [math.prod(shape) for shape in shapes]
    total, device = sum(sizes), generators[0].device
    kept = torch.empty(len(generators), total, device=device)
    words = torch.empty(-(-total // 4), dtype=torch.int64, device=device)
    for member, generator in zip(kept, generators, strict=True):
        bits = words.random_(-(2**63), None, generator=generator).view(torch.int16)[:total]
        torch.ge(bits, round(rate * 2**16) - 2**15, out=member)
    masks = kept.mul_(1.0 / (1.0 - rate)).split(sizes, dim=1)
    return [mask.view(-1, *shape) for mask, shape in zip(masks, shapes, strict=True)]


class FlatParameters:
    """Moves the parameters of a model into one tensor, so that a step of its optimizer is one call; they become views of it.

    Args:
        model: The model; its parameters keep their names and shapes.

    Attributes:
        flat: `[parameters of all members]`, for the optimizer.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parts = list(model.parameters())
        self.flat = nn.Parameter(torch.cat([part.detach().flatten() for part in self._parts]))
        values = self.flat.detach().split([part.numel() for part in self._parts])
        for part, value in zip(self._parts, values, strict=True):
            part.data = value.view(part.shape)

    def derive(self, loss: Tensor) -> None:
        """Set the gradient of the flat tensor to that of a loss."""
        gradients = torch.autograd.grad(loss, self._parts, materialize_grads=True)
        self.flat.grad = torch.cat([gradient.flatten() for gradient in gradients])
