"""GRAF features: worked examples, a slow twin over listed paths, and invariance to numbering and dead nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.evaluators.predictors.graf import PER_SUBSET, graph_features, num_features, subsets
from archsearch.spaces.graph import INPUT, OUTPUT, Graph, GraphBatch, pack

VOCABULARY = ("input", "output", "none", "conv", "pool")


def graph(operators: tuple[str, ...], edges: list[tuple[int, int]]) -> Graph:
    adjacency = np.zeros((len(operators), len(operators)), dtype=bool)
    for source, target in edges:
        adjacency[source, target] = True
    return Graph(operators, adjacency)


def features(*graphs: Graph) -> NDArray[np.float64]:
    return graph_features(pack([[each] for each in graphs], VOCABULARY))


def test_worked_example() -> None:
    """input -> conv -> pool -> output, and input -> conv -> output."""
    cell = graph(("input", "conv", "pool", "conv", "output"), [(0, 1), (1, 2), (2, 4), (0, 3), (3, 4)])
    [found] = features(cell)
    assert found[:2].tolist() == [2.0, 1.0]
    of_conv, of_pool, of_both = found[2:].reshape(3, PER_SUBSET).tolist()
    # shortest, longest, whether, most on a path, leaving the input, entering the output, mean and largest number that enter
    assert of_conv == [2.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]
    assert of_pool == [0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    assert of_both == [2.0, 3.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0]


def test_nodes_without_effect_do_not_count() -> None:
    lean = graph(("input", "conv", "output"), [(0, 1), (1, 2)])
    dead_end = graph(("input", "conv", "pool", "output"), [(0, 1), (0, 2), (1, 3)])
    through_none = graph(("input", "conv", "none", "pool", "output"), [(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)])
    found = features(lean, dead_end, through_none)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_cell_without_a_path_has_zeros() -> None:
    assert not features(graph(("input", "none", "output"), [(0, 1), (1, 2)])).any()


def paths(cell: Graph, used: set[int]) -> Iterator[list[int]]:
    """Yield each path from an input to the output through the nodes `used`, the slow and obvious way."""

    def walk(node: int, path: list[int]) -> Iterator[list[int]]:
        if cell.operators[node] == OUTPUT:
            yield path
            return
        for target in np.flatnonzero(cell.adjacency[node]).tolist():
            if target in used or cell.operators[target] == OUTPUT:
                yield from walk(target, [*path, target])

    for start, name in enumerate(cell.operators):
        if name == INPUT:
            yield from walk(start, [start])


def slow(batch: GraphBatch, row: int, cell: int) -> NDArray[np.float64]:
    """Return the features of one cell from its listed paths."""
    graph = batch.graph(row, cell)
    names = [name for name in batch.vocabulary if name not in (INPUT, OUTPUT, "none")]
    all_paths = list(paths(graph, {node for node, name in enumerate(graph.operators) if name != "none"}))
    live = {node for path in all_paths for node in path}
    operators = {node: graph.operators[node] for node in live}
    found = [float(sum(operators[node] == name for node in live)) for name in names]
    for chosen in subsets(names):
        inner = {node for node in live if operators[node] in chosen}
        ends = {node for node in live if operators[node] in (INPUT, OUTPUT)}
        edges = [
            (u, v) for u in inner | ends for v in inner | ends if graph.adjacency[u, v]
        ]  # edges between live nodes, as all of these are live
        lengths = [len(path) - 1 for path in paths(graph, inner)]
        entering = [sum(target == node for _, target in edges) for node in inner]
        found += [
            min(lengths, default=0),
            max(lengths, default=0),
            float(bool(lengths)),
            max((sum(node in inner for node in path) for path in all_paths), default=0),
            sum(operators[source] == INPUT for source, _ in edges),
            sum(operators[target] == OUTPUT for _, target in edges),
            float(np.mean(entering)) if entering else 0.0,
            max(entering, default=0),
        ]
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "enas", "nasnet"])
def test_features_equal_those_of_listed_paths(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(4)])
    found = graph_features(batch)
    cells = batch.operators.shape[1]
    assert found.shape == (4, num_features(batch.vocabulary, cells))
    for row in range(4):
        expected = np.concatenate([slow(batch, row, cell) for cell in range(cells)])
        np.testing.assert_allclose(found[row], expected, err_msg=f"row {row}")


def test_equal_keys_have_equal_features() -> None:
    """On NAS-Bench-201 without skip connections, structures with one key are isomorphic live graphs."""
    space, rng = spaces.get("nasbench201"), np.random.default_rng(1)
    cells = [space.from_genotype(rng.choice([0, 2, 3, 4], 6).tolist()) for _ in range(300)]
    by_key: dict[str, NDArray[np.float64]] = {}
    repeated = 0
    for cell, row in zip(cells, graph_features(space.encode(cells)), strict=True):
        key = space.key(cell)
        repeated += key in by_key
        np.testing.assert_array_equal(by_key.setdefault(key, row), row)
    assert repeated > 50


def test_many_operators_have_fewer_subsets() -> None:
    names = [f"operator{place}" for place in range(9)]
    assert len(subsets(names)) == 9 + 9 + 1
    assert len(subsets(names[:5])) == 31


def test_no_architectures_have_no_features() -> None:
    batch = spaces.get("nasbench201").encode([])
    assert graph_features(batch).shape[0] == 0
