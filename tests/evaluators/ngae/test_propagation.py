from __future__ import annotations

import torch
from torch import nn

from archsearch import spaces
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.propagation import Messages, Unit, propagate


def test_the_unit_is_the_gated_recurrent_unit_of_torch() -> None:
    unit, width = Unit(3, 4, torch.Generator().manual_seed(0)), 4
    cell = nn.GRUCell(3, width)
    with torch.no_grad():
        cell.weight_ih.copy_(unit.table.T)
        cell.weight_hh.copy_(unit.weight.T)
        cell.bias_ih.zero_()
        cell.bias_hh.copy_(unit.bias)
    states, types = torch.randn(5, width), torch.tensor([0, 1, 2, 1, 0])
    assert torch.allclose(unit(types, states), cell(torch.eye(3)[types], states), atol=1e-6)


def test_a_vertex_sums_the_messages_of_its_edges() -> None:
    grammar = Grammar.of(spaces.get("enas"), samples=200)
    generator = torch.Generator().manual_seed(0)
    messages, unit = Messages(grammar, 4, True, generator), Unit(grammar.num_types, 4, generator)
    types = torch.ones(1, 1, 3, dtype=torch.int64)
    edges = torch.zeros(1, 1, 3, 3)
    edges[..., 0, 2] = edges[..., 1, 2] = 1.0
    states, sent = propagate(messages, unit, types, edges)
    assert torch.equal(sent[:, :, 1], messages.sent(states[:, :, 1], 1))
    assert torch.allclose(states[0, 0, 2], unit(types[0, 0, 2], sent[0, 0, 0] + sent[0, 0, 1]))
    assert torch.allclose(states[0, 0, 1], unit(types[0, 0, 1], torch.zeros(4)))
