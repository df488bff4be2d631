from __future__ import annotations

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import from_batch


@pytest.fixture(scope="module")
def enas() -> Grammar:
    return Grammar.of(spaces.get("enas"))


def test_rules_of_enas(enas: Grammar) -> None:
    space = spaces.get("enas")
    assert (enas.cells, enas.vertices, enas.num_types) == (1, 8, len(space.vocabulary) + 1)
    assert {tuple(edge) for edge in enas.forced[0].nonzero().tolist()} == {(v, v + 1) for v in range(7)}
    assert {tuple(edge) for edge in enas.free[0].nonzero().tolist()} == {(u, v) for v in range(2, 7) for u in range(v - 1)}
    assert enas.types[0].sum(dim=1).tolist() == [1, 6, 6, 6, 6, 6, 6, 1]


def test_rules_of_nasbench201_leave_the_types_alone() -> None:
    grammar = Grammar.of(spaces.get("nasbench201"))
    assert not grammar.free.any()
    assert grammar.types[0].sum(dim=1).tolist() == [1, 5, 5, 5, 5, 5, 5, 1]


def test_rules_of_nasbench101() -> None:
    grammar = Grammar.of(spaces.get("nasbench101"))
    assert grammar.budget.tolist() == [9]
    assert grammar.collects[0, :-1].all()
    assert not grammar.exclusive.any()


def test_rules_of_cells_bound_the_edges() -> None:
    grammar = Grammar.of(spaces.get("cells"))
    assert (grammar.most[0, 2:-1] == 2).all()
    assert (grammar.fewest[0, 2:-1] == 1).all()
    assert grammar.exclusive[0, :-1].all()


@pytest.mark.parametrize("name", spaces.names())
def test_decided_edges_follow_the_rules(name: str) -> None:
    space = spaces.get(name)
    grammar = Grammar.of(space)
    rng = np.random.default_rng(7)
    graphs = from_batch(space.encode([space.sample(rng) for _ in range(50)]), grammar.vertices)
    grammar = grammar.widened(graphs)
    decided = grammar.decided(graphs)
    there = graphs.types != 0
    both = there[..., :, None] & there[..., None, :]
    unread = ~graphs.edges[..., :-1].any(dim=-1) & grammar.collects & there
    at_output = torch.zeros_like(graphs.edges)
    at_output[..., -1] = unread & grammar.free[..., -1]
    expected = (grammar.forced & both) | at_output
    assert torch.equal(graphs.edges & decided, expected & decided)


def test_an_input_that_is_hardly_ever_unread_is_then_read_by_the_output() -> None:
    grammar = Grammar.of(spaces.get("cells"), samples=200)
    assert grammar.collects[0, :2].all()
    assert grammar.free[0, :2, -1].all()


def test_rules_widen_to_the_graphs_given(enas: Grammar) -> None:
    space = spaces.get("enas")
    graphs = from_batch(space.encode([space.sample(np.random.default_rng(0))]), 8)
    graphs.edges[0, 0, 0, 7] = True
    graphs.edges[0, 0, 2, 3] = False
    graphs.types[0, 0, 7] = 3
    wider = enas.widened(graphs)
    assert wider.free[0, 0, 7] and wider.free[0, 2, 3] and not wider.forced[0, 2, 3]
    assert wider.types[0, 7, 3]
    assert not enas.free[0, 0, 7]
