"""Asynchronous message passing along the edges of a graph: gated sums and gated recurrent units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.evaluators.ngae.grammar import Grammar


class Messages(nn.Module):
    """The gated sum: a vertex sends `g(h) = sigmoid(G [h; id] + b) * (M [h; id])`, and a vertex sums the messages it receives.

    M. Zhang et al., "D-VAE: A Variational Autoencoder for Directed Acyclic Graphs", NeurIPS 2019, arXiv 1904.11088, equation 6;
    `id` is the place of the sender as a one-hot vector, so that its part of the product is a row of a table. NGAE does not write
    it: its `A({h_u})` knows the states alone.

    Args:
        grammar: Number of cells and vertices.
        width: Features of a vertex.
        identified: Whether there is an `id`.
        generator: Source of the initial weights.
    """

    def __init__(self, grammar: Grammar, width: int, identified: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = uniform(generator, width / 4, width, 2 * width)  # gates halve the messages
        self.places = uniform(generator, width, grammar.vertices, grammar.cells, 2 * width) if identified else None
        self.bias = uniform(generator, width, width)

    def sent(self, states: Tensor, vertex: int) -> Tensor:
        """Return the messages that a vertex sends, `[batch, cells, width]`, given its states, of the same shape."""
        both = states @ self.weight
        gate, value = (both if self.places is None else both + self.places[vertex]).chunk(2, dim=-1)
        return torch.sigmoid(gate + self.bias) * value


class Unit(nn.Module):
    """A gated recurrent unit: its input is the type x of a vertex, its state the sum m of the messages (NGAE, equation 2).

        r, z = sigmoid(X_r x + H_r m + b_r), sigmoid(X_z x + H_z m + b_z)
        h    = (1 - z) * tanh(X_n x + r * (H_n m + b_n)) + z * m

    Args:
        types: Number of types; each is a row of a table, the product with a one-hot vector.
        width: Features of a vertex.
        generator: Source of the initial weights.
    """

    def __init__(self, types: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.table = uniform(generator, 1, types, 3 * width)
        self.weight = uniform(generator, width, width, 3 * width)
        self.bias = uniform(generator, width, 3 * width)

    def forward(self, types: Tensor, states: Tensor) -> Tensor:
        """Return new states `[..., width]` of types `[...]` and states `[..., width]`."""
        return self.joined(self.table[types], states)

    def joined(self, rows: Tensor, states: Tensor) -> Tensor:
        """Return new states, given the table's rows of the types, `[..., 3 * width]`, and states; shapes may broadcast."""
        width = states.shape[-1]
        row_gates, row_new = rows.split((2 * width, width), dim=-1)
        gates, new = (states @ self.weight + self.bias).split((2 * width, width), dim=-1)
        reset, update = torch.sigmoid(row_gates + gates).chunk(2, dim=-1)
        return torch.lerp(torch.tanh(row_new + reset * new), states, update)


def propagate(messages: Messages, unit: Unit, types: Tensor, edges: Tensor, first: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return states and messages of all vertices, computed in topological order.

    Args:
        messages: The gated sum.
        unit: The recurrent unit.
        types: `[batch, cells, vertices]`.
        edges: `[batch, cells, vertices, vertices]`, 0 or 1 as floats; `[..., u, v]` is the edge from u to v, and u < v.
        first: `[batch, cells, width]` read by the first vertex in place of a sum of messages; None for zeros.

    Returns:
        Two lists as one tensor each, `[batch, cells, vertices, width]`.
    """
    rows = unit.table[types].unbind(2)
    batch, cells, vertices = types.shape
    width = unit.weight.shape[0]
    reached = rows[0].new_zeros(batch, cells, width) if first is None else first
    states: list[Tensor] = []
    sent: list[Tensor] = []
    for vertex in range(vertices):
        if vertex:
            before = torch.stack(sent, dim=2)
            reached = (edges[:, :, None, :vertex, vertex] @ before).squeeze(2)
        states.append(unit.joined(rows[vertex], reached))
        sent.append(messages.sent(states[-1], vertex))
    return torch.stack(states, dim=2), torch.stack(sent, dim=2)


def uniform(generator: torch.Generator, fan_in: float, *shape: int) -> nn.Parameter:
    """Return a parameter drawn uniformly from -1/sqrt(fan_in) to 1/sqrt(fan_in), as in `torch.nn.Linear`."""
    bound = fan_in**-0.5
    return nn.Parameter(torch.rand(shape, generator=generator) * 2 * bound - bound)
