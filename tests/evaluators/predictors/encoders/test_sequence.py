"""Architectures as sequences of numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.sequence import bits_and_operators
from archsearch.evaluators.predictors.form import Form
from archsearch.spaces import GraphBatch

Generators = Callable[..., list[torch.Generator]]


def population(name: str, number: int) -> tuple[GraphBatch, Form]:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(number)])
    return batch, Form.of(batch, space.num_inputs)


def test_row_of_a_nasbench101_cell() -> None:
    """21 bits and 5 operators; the output is vertex 6 whatever the size of the cell."""
    space = spaces.get("nasbench101")
    batch = space.encode([space.parse("[[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]] [input,conv3x3-bn-relu,maxpool3x3,output]")])
    bits, operators = bits_and_operators(batch, Form.of(batch, space.num_inputs))
    edges = [(source, target) for target in range(7) for source in range(target)]
    labels = dict(enumerate(batch.graph(0).operators))
    assert [edge for edge, bit in zip(edges, bits[0].tolist(), strict=True) if bit] == [(0, 1), (0, 2), (1, 6), (2, 6)]
    number = {"conv3x3-bn-relu": 1, "conv1x1-bn-relu": 2, "maxpool3x3": 3}
    assert operators[0].tolist() == [number[labels[1]], number[labels[2]], 0, 0, 0]


def test_row_of_a_nasbench201_cell_is_its_genotype() -> None:
    space = spaces.get("nasbench201")
    genotypes = np.random.default_rng(0).integers(5, size=(50, 6))
    batch = space.encode([space.from_genotype(genotype) for genotype in genotypes.tolist()])
    bits, operators = bits_and_operators(batch, Form.of(batch, space.num_inputs))
    assert bits.shape == (50, 0)
    assert np.array_equal(operators, genotypes + 1)


@pytest.mark.parametrize("name", spaces.names())
def test_rows_distinguish_architectures(name: str) -> None:
    """A row holds all that the graphs hold: equal rows, equal graphs."""
    batch, form = population(name, 40)
    rows = torch.cat(bits_and_operators(batch, form), dim=1)
    graphs = {(batch.operators[row].tobytes(), batch.adjacency[row].tobytes()) for row in range(40)}
    assert len(torch.unique(rows, dim=0)) == len(graphs)


def test_smaller_graphs_are_padded() -> None:
    batch, form = population("nasbench101", 30)
    small = batch[(batch.operators[:, 0] >= 0).sum(axis=1) <= 6]
    cut = GraphBatch(small.vocabulary, small.operators[..., :6], small.adjacency[..., :6, :6])
    assert len(cut) > 0
    for whole, padded in zip(bits_and_operators(small, form), bits_and_operators(cut, form), strict=True):
        assert torch.equal(whole, padded)
