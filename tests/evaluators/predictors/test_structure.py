"""The counted properties: by hand, against a list of all paths, and under renumbering."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.evaluators.predictors.structure import structure, structure_size
from archsearch.spaces import Graph, GraphBatch, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells

Renumber = Callable[[GraphBatch, NDArray[np.int64]], GraphBatch]


def small(name: str) -> SearchSpace:
    """Return a space with few nodes, so that all paths can be listed."""
    return {"anytime": Anytime(nodes=(5, 3)), "cells": Cells(nodes=6)}.get(name) or spaces.get(name)


def population(space: SearchSpace, number: int, seed: int = 0) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return space.encode([space.sample(rng) for _ in range(number)])


def paths(graph: Graph) -> Iterator[list[int]]:
    """Yield all paths from an input to the output on which no node is `none`."""
    begun = [[node] for node, name in enumerate(graph.operators) if name == "input"]
    while begun:
        path = begun.pop()
        if graph.operators[path[-1]] == "output":
            yield path
        elif graph.operators[path[-1]] != "none":
            begun += [[*path, int(node)] for node in np.flatnonzero(graph.adjacency[path[-1]])]


def counted(graph: Graph, vocabulary: tuple[str, ...]) -> list[float]:
    """Return what is expected of a graph, from the list of its paths."""
    found = list(paths(graph))
    names = graph.operators
    kinds = [name for name in vocabulary if name not in ("input", "output", "none")]
    nodes = sorted({node for path in found for node in path})
    edges = {pair for path in found for pair in pairwise(path)}
    before_output = {source for source, target in edges if names[target] == "output"}
    after_input = {target for source, target in edges if names[source] == "input"}

    def on_paths(chosen: list[str]) -> list[int]:
        return [sum(names[node] in chosen for node in path) for path in found] or [0]

    groups = [*([kind] for kind in kinds), kinds]
    return [
        *(sum(names[node] == kind for node in nodes) for kind in kinds),
        *(max(on_paths(group)) for group in groups),
        *(min(on_paths(group)) for group in groups),
        *(sum(names[node] == kind for node in before_output) for kind in kinds),
        *(sum(names[node] == kind for node in after_input) for kind in kinds),
        len(edges),
        sum(names[target] == "output" for _, target in edges),
        sum(names[source] == "input" for source, _ in edges),
        sum(names[source] == "input" and names[target] == "output" for source, target in edges),
    ]


def test_a_cell_by_hand() -> None:
    """A convolution, then pooling, parallel to a skip connection; another convolution reaches no output."""
    operators = np.array([[[0, 2, 4, 2, 1]]], dtype=np.int8)
    adjacency = np.zeros((1, 1, 5, 5), dtype=bool)
    for edge in ((0, 1), (1, 2), (2, 4), (0, 4), (0, 3)):
        adjacency[0, 0][edge] = True
    numbers = structure(GraphBatch(spaces.get("nasbench101").vocabulary, operators, adjacency)).int().tolist()[0]
    count, most, fewest = [1, 0, 1], [1, 0, 1, 2], [0, 0, 0, 0]
    before_output, after_input = [0, 0, 1], [1, 0, 0]
    assert numbers == [*count, *most, *fewest, *before_output, *after_input, 4, 2, 2, 1]


@pytest.mark.parametrize("name", spaces.names())
def test_numbers_are_those_of_all_paths(name: str) -> None:
    space = small(name)
    batch = population(space, 60)
    found = structure(batch)
    cells = batch.operators.shape[1]
    assert found.shape == (60, cells * structure_size(space.vocabulary))
    for row in range(60):
        expected = [number for cell in range(cells) for number in counted(batch.graph(row, cell), space.vocabulary)]
        assert found[row].tolist() == expected
    assert len(torch.unique(found, dim=0)) > 30, "they distinguish architectures"


def test_nothing_flows_through_a_cell_of_none() -> None:
    space = spaces.get("nasbench201")
    batch = space.encode([space.from_genotype([next(iter(space.choices.values())).index("none")] * 6)])
    assert not structure(batch).any()


def test_order_of_nodes_and_padding_change_nothing(renumbered: Renumber) -> None:
    batch = population(spaces.get("nasbench101"), 2000)
    order = np.random.default_rng(1).permuted(np.tile(np.arange(7), (len(batch), 1)), axis=1)
    assert torch.equal(structure(renumbered(batch, order)), structure(batch))


def test_large_populations_are_counted_in_chunks() -> None:
    batch = population(spaces.get("nasbench201"), 3)
    many = np.arange(20_000) % 3
    assert torch.equal(structure(batch[many]), structure(batch)[many])
    assert structure(batch[:0]).shape == (0, structure_size(batch.vocabulary))
