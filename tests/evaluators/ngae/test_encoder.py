from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from archsearch import spaces
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.propagation import Messages, Unit
from archsearch.evaluators.ngae.settings import Settings

Made = tuple[GraphVAE, Grammar, Graphs]
Make = Callable[..., Made]
NAMES = ["enas", "nasbench101", "nasbench201", "nasnet", "cells"]


def one_unit(unit: Unit, kind: int, state: Tensor) -> Tensor:
    """The equations of a gated recurrent unit, with a one-hot input."""
    width = len(state)
    given, kept = unit.table[kind], state @ unit.weight + unit.bias
    reset = torch.sigmoid(given[:width] + kept[:width])
    update = torch.sigmoid(given[width : 2 * width] + kept[width : 2 * width])
    new = torch.tanh(given[2 * width :] + reset * kept[2 * width :])
    return (1 - update) * new + update * state


def one_message(messages: Messages, state: Tensor, vertex: int, cell: int) -> Tensor:
    width = len(state)
    both = state @ messages.weight + messages.places[vertex, cell]
    return torch.sigmoid(both[:width] + messages.bias) * both[width:]


def one_pass(messages: Messages, unit: Unit, kinds: list[int], edges: Tensor, cell: int, first: Tensor) -> list[Tensor]:
    """States of the vertices of one cell, one after the other."""
    states: list[Tensor] = []
    for vertex, kind in enumerate(kinds):
        total = first if vertex == 0 else torch.zeros_like(first)
        for source in range(vertex):
            if edges[source, vertex]:
                total = total + one_message(messages, states[source], source, cell)
        states.append(one_unit(unit, kind, total))
    return states


@pytest.mark.parametrize("reads_all", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_encoder_equals_one_graph_at_a_time(name: str, reads_all: bool, made: Make, small: Settings) -> None:
    space, settings = spaces.get(name), small.with_changes(reads_all=reads_all)
    model, _, graphs = made(space, settings, 5)
    encoder = model.encoder
    means, log_variances = encoder(graphs)
    for row in range(5):
        read = []
        for cell in range(graphs.types.shape[1]):
            kinds, edges = graphs.types[row, cell].tolist(), graphs.edges[row, cell]
            zero = torch.zeros(small.width, dtype=torch.float64)
            ahead = one_pass(encoder.messages, encoder.unit, kinds, edges, cell, zero)
            turned = edges.T.flip((0, 1))
            back = one_pass(encoder.backward_messages, encoder.backward_unit, kinds[::-1], turned, cell, zero)
            read += [*ahead, *back] if settings.reads_all else [ahead[-1], *back[-space.num_inputs :]]
        state = torch.cat(read) @ encoder.read_weight + encoder.read_bias
        both = state @ encoder.mean_weight + encoder.mean_bias
        assert torch.allclose(torch.cat([means[row], log_variances[row]]), both, atol=1e-12)
