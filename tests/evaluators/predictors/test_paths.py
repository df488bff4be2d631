"""The counts of paths: by hand, against a list of all paths, under renumbering, and where there are millions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.evaluators.predictors.paths import COLUMNS, path_counts
from archsearch.spaces import Graph, GraphBatch, SearchSpace
from archsearch.spaces.graph import pack

Renumber = Callable[[GraphBatch, NDArray[np.int64]], GraphBatch]
NB101 = spaces.get("nasbench101").vocabulary
CONV3, CONV1, POOL = NB101[2:]


def population(space: SearchSpace, number: int, seed: int = 0) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return space.encode([space.sample(rng) for _ in range(number)])


def cell(operators: list[str], edges: list[tuple[int, int]]) -> Graph:
    adjacency = np.zeros((len(operators), len(operators)), dtype=bool)
    for edge in edges:
        adjacency[edge] = True
    return Graph(tuple(operators), adjacency)


def chain(operators: tuple[str, ...]) -> Graph:
    names = ["input", *operators, "output"]
    return cell(names, [(node, node + 1) for node in range(len(names) - 1)])


def sequences(graph: Graph) -> Iterator[tuple[int, ...]]:
    """Yield the number of the input and the nodes between for each path that no `none` interrupts."""
    inputs = [node for node, name in enumerate(graph.operators) if name == "input"]
    begun = [(order, (node,)) for order, node in enumerate(inputs)]
    while begun:
        order, path = begun.pop()
        if graph.operators[path[-1]] == "output":
            yield order, *path[1:-1]
        elif graph.operators[path[-1]] != "none":
            begun += [(order, (*path, int(node))) for node in np.flatnonzero(graph.adjacency[path[-1]])]


def listed(graph: Graph, vocabulary: tuple[str, ...], inputs: int) -> list[float]:
    """Return what is expected of a cell, from the list of its paths: numbers to the base of the operators and further inputs."""
    kinds = [name for name in vocabulary if name not in ("input", "output", "none")]
    base, columns = len(kinds) + inputs - 1, Counter[int]()
    for order, *nodes in sequences(graph):
        digits = [*([len(kinds) + order] if order else []), *(kinds.index(graph.operators[node]) + 1 for node in nodes)]
        number = sum(digit * base**place for place, digit in enumerate(reversed(digits)))
        columns[number % COLUMNS] += 1
    return [columns[column] for column in range(COLUMNS)]


def test_a_cell_by_hand() -> None:
    """A convolution, then pooling, on two paths, parallel to a skip connection; another convolution reaches no output."""
    edges = [(0, 1), (1, 2), (1, 3), (2, 5), (3, 5), (0, 5), (0, 4)]
    graph = cell(["input", CONV3, POOL, POOL, CONV1, "output"], edges)
    counts = path_counts(pack([[graph]], NB101))[0]
    assert {int(column): counts[column] for column in counts.nonzero()[0]} == {0: 1.0, 3 * 1 + 3: 2.0}


@pytest.mark.parametrize("name", spaces.names())
def test_counts_are_those_of_all_paths(name: str) -> None:
    space = spaces.get(name)
    batch = population(space, 30)
    found = path_counts(batch, space.num_inputs)
    cells = batch.operators.shape[1]
    assert found.shape == (30, cells * COLUMNS)
    for row in range(30):
        expected = [count for at in range(cells) for count in listed(batch.graph(row, at), space.vocabulary, space.num_inputs)]
        assert found[row].tolist() == expected
    assert len(np.unique(found, axis=0)) > 15, "they distinguish architectures"


def test_each_sequence_of_the_published_spaces_has_a_separate_column() -> None:
    kinds = [CONV3, CONV1, POOL]
    chains = [[chain(names)] for length in range(6) for names in product(kinds, repeat=length)]
    columns = path_counts(pack(chains, NB101)).argmax(axis=1)
    assert len(chains) == len(set(columns.tolist())) == 364
    edges = ["skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    chains = [[chain(names)] for length in range(4) for names in product(edges, repeat=length)]
    columns = path_counts(pack(chains, spaces.get("nasbench201").vocabulary)).argmax(axis=1)
    assert len(chains) == len(set(columns.tolist())) == 85


def test_order_of_nodes_and_padding_change_nothing(renumbered: Renumber) -> None:
    batch = population(spaces.get("nasbench101"), 500)
    order = np.random.default_rng(1).permuted(np.tile(np.arange(7), (len(batch), 1)), axis=1)
    np.testing.assert_array_equal(path_counts(renumbered(batch, order)), path_counts(batch))


def test_order_of_nodes_behind_two_inputs_changes_nothing(renumbered: Renumber) -> None:
    batch = population(spaces.get("cells"), 100)
    nodes = batch.operators.shape[2]
    behind = np.random.default_rng(1).permuted(np.tile(np.arange(2, nodes), (len(batch), 1)), axis=1)
    order = np.hstack([np.tile([0, 1], (len(batch), 1)), behind])
    np.testing.assert_array_equal(path_counts(renumbered(batch, order), 2), path_counts(batch, 2))


def test_operators_without_effect_change_nothing() -> None:
    """Where no edge enters the first node, the operators on its outgoing edges have no effect."""
    space = spaces.get("nasbench201")
    edge_from_first = [(second, third) for second in space.operators for third in space.operators]
    texts = [f"|none~0|+|nor_conv_3x3~0|{a}~1|+|nor_conv_1x1~0|{b}~1|avg_pool_3x3~2|" for a, b in edge_from_first]
    counts = path_counts(space.encode([space.parse(text) for text in texts]))
    assert len(counts) == 25
    assert (counts == counts[0]).all()
    assert counts[0].sum() == 2.0


def test_inputs_are_distinguished() -> None:
    space = spaces.get("cells")
    kind = space.vocabulary[2]
    graphs = [cell(["input", "input", kind, "output"], [(source, 2), (2, 3)]) for source in (0, 1)]
    first, second = path_counts(pack([[graph] for graph in graphs], space.vocabulary), 2)
    assert first.sum() == second.sum() == 1.0
    assert not (first * second).any()


def test_nothing_flows_through_a_cell_of_none() -> None:
    space = spaces.get("nasbench201")
    batch = space.encode([space.from_genotype([next(iter(space.choices.values())).index("none")] * 6)])
    assert not path_counts(batch).any()


def test_very_many_paths_are_counted_and_not_listed() -> None:
    """Where each of 40 nodes reads all before it there are 2^38 paths from the first to the last."""
    size = 40
    edges = [(source, target) for target in range(size) for source in range(target)]
    counts = path_counts(pack([[cell(["input", *[CONV3, POOL] * (size // 2 - 1), "output"], edges)]], NB101))
    assert counts.sum() == 2.0 ** (size - 2)


def test_large_populations_are_counted_in_chunks() -> None:
    batch = population(spaces.get("nasbench201"), 3)
    many = np.arange(5000) % 3
    np.testing.assert_array_equal(path_counts(batch[many]), path_counts(batch)[many])
    assert path_counts(batch[:0]).shape == (0, COLUMNS)
