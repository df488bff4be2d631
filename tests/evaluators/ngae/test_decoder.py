from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from archsearch import spaces
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import ABSENT, Graphs
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


def slow_loss(made: Made, latent: Tensor, row: int, settings: Settings) -> Tensor:
    """The cross-entropy of one graph, decision by decision, as a decoder takes them."""
    model, grammar, graphs = made
    decoder, total = model.decoder, torch.zeros((), dtype=torch.float64)
    types, edge_head = decoder.types, decoder.edges
    for cell in range(graphs.types.shape[1]):
        kinds, edges = graphs.types[row, cell].tolist(), graphs.edges[row, cell]
        first = torch.tanh(latent @ decoder.start_weight[cell] + decoder.start_bias[cell])
        states = one_pass(decoder.messages, decoder.unit, kinds, edges, cell, first)
        for vertex in range(1, len(kinds)):
            allowed = grammar.types[cell, vertex]
            hidden = states[vertex - 1] @ types.state + types.places[vertex if settings.conditioned else 0, cell]
            if settings.conditioned:
                hidden = hidden + latent @ types.latent
            logits = torch.relu(hidden) @ types.out + types.bias
            if settings.conditioned:
                logits = logits + latent @ types.direct[vertex, cell]
            chances = torch.softmax(logits[allowed], dim=0)
            total = total - torch.log(chances[int(allowed[: kinds[vertex]].sum())])
            reached = torch.zeros_like(first)
            for source in reversed(range(vertex)):
                if not rules_decide(grammar, graphs, row, cell, source, vertex):
                    state = one_unit(decoder.unit, kinds[vertex], reached)
                    place = edge_head.places[(source, vertex) if settings.conditioned else (0, 0)][cell]
                    hidden = states[source] @ edge_head.source + state @ edge_head.target + place
                    if settings.conditioned:
                        hidden = hidden + latent @ edge_head.latent
                    logit = (torch.relu(hidden) @ edge_head.out + edge_head.bias)[0]
                    if settings.conditioned:
                        logit = logit + latent @ edge_head.direct[source, vertex, cell]
                    chance = torch.sigmoid(logit)
                    total = total - torch.log(chance if edges[source, vertex] else 1 - chance)
                if edges[source, vertex]:
                    reached = reached + one_message(decoder.messages, states[source], source, cell)
    return total


def rules_decide(grammar: Grammar, graphs: Graphs, row: int, cell: int, source: int, vertex: int) -> bool:
    kinds, edges = graphs.types[row, cell], graphs.edges[row, cell]
    if not grammar.free[cell, source, vertex] or kinds[source] == ABSENT or kinds[vertex] == ABSENT:
        return True
    if vertex < len(kinds) - 1:
        return False
    read = bool(edges[source, :-1].any())
    return bool(grammar.exclusive[cell, source]) if read else bool(grammar.collects[cell, source])


@pytest.mark.parametrize("conditioned", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_loss_equals_one_decision_at_a_time(name: str, conditioned: bool, made: Make, small: Settings) -> None:
    settings = small.with_changes(conditioned=conditioned)
    parts = made(spaces.get(name), settings, 3)
    model, grammar, graphs = parts
    latents = torch.randn(3, settings.latent, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    losses = model.decoder.loss(latents, graphs, grammar)
    for row in range(3):
        expected = slow_loss(parts, latents[row], row, settings)
        assert math.isclose(losses[row].item(), expected.item(), rel_tol=1e-10)
