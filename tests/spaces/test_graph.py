from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Cell
from archsearch.spaces.graph import INPUT, OUTPUT, Graph, lower, pack

VOCABULARY = (INPUT, OUTPUT, "conv", "pool", "skip")


def edges_of(graph: Graph) -> set[tuple[int, int]]:
    return {(int(source), int(target)) for source, target in np.argwhere(graph.adjacency)}


def test_operators_on_nodes_are_kept() -> None:
    graph = lower(Cell(4, ((0, 1), (1, 3), (0, 2), (2, 3)), node_operators=(INPUT, "conv", "pool", OUTPUT)))
    assert graph.operators == (INPUT, "conv", "pool", OUTPUT)
    assert edges_of(graph) == {(0, 1), (1, 3), (0, 2), (2, 3)}


def test_each_edge_becomes_a_node() -> None:
    # The edges 0>1, 0>2, 1>2 become the nodes 1, 2, 3; the output is node 4.
    graph = lower(Cell(3, ((0, 1), (0, 2), (1, 2)), edge_operators=("conv", "skip", "pool")))
    assert graph.operators == (INPUT, "conv", "skip", "pool", OUTPUT)
    assert edges_of(graph) == {(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)}


def test_edges_are_taken_in_topological_order() -> None:
    shuffled = lower(Cell(3, ((1, 2), (0, 2), (0, 1)), edge_operators=("pool", "skip", "conv")))
    ordered = lower(Cell(3, ((0, 1), (0, 2), (1, 2)), edge_operators=("conv", "skip", "pool")))
    assert shuffled.operators == ordered.operators
    assert np.array_equal(shuffled.adjacency, ordered.adjacency)


def test_each_input_is_a_node() -> None:
    # Inputs 0 and 1; the edges 0>2 and 1>2 become the nodes 2 and 3.
    graph = lower(Cell(3, ((0, 2), (1, 2)), edge_operators=("conv", "pool")), num_inputs=2)
    assert graph.operators == (INPUT, INPUT, "conv", "pool", OUTPUT)
    assert edges_of(graph) == {(0, 2), (1, 3), (2, 4), (3, 4)}


def test_an_edge_from_a_node_that_nothing_enters_reads_nothing() -> None:
    graph = lower(Cell(4, ((0, 3), (1, 3)), edge_operators=("conv", "pool")))
    assert edges_of(graph) == {(0, 1), (1, 3), (2, 3)}


@st.composite
def edge_cells(draw: st.DrawFn) -> Cell:
    nodes = draw(st.integers(2, 5))
    pairs = [(source, target) for target in range(nodes) for source in range(target)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    return Cell(nodes, tuple(edges), edge_operators=tuple(draw(st.sampled_from(VOCABULARY[2:])) for _ in edges))


def count_paths(size: int, edges: set[tuple[int, int]]) -> int:
    paths = [1] + [0] * (size - 1)
    for target in range(1, size):
        paths[target] = sum(paths[source] for source, end in edges if end == target)
    return paths[-1]


@settings(deadline=None, max_examples=100)
@given(cell=edge_cells())
def test_lowering_keeps_the_paths(cell: Cell) -> None:
    graph = lower(cell)
    assert sorted(graph.operators[1:-1]) == sorted(cell.edge_operators)
    assert not np.tril(graph.adjacency).any()
    assert count_paths(len(graph.operators), edges_of(graph)) == count_paths(cell.num_nodes, set(cell.edges))


@settings(deadline=None, max_examples=50)
@given(cells=st.lists(st.tuples(edge_cells(), edge_cells()), max_size=5))
def test_a_batch_gives_back_its_graphs(cells: list[tuple[Cell, Cell]]) -> None:
    graphs = [[lower(cell) for cell in row] for row in cells]
    batch = pack(graphs, VOCABULARY)
    assert len(batch) == len(graphs)
    for row, architecture in enumerate(graphs):
        for position, graph in enumerate(architecture):
            held = batch.graph(row, position)
            assert held.operators == graph.operators
            assert np.array_equal(held.adjacency, graph.adjacency)


def test_padding_is_marked_and_unconnected() -> None:
    small = lower(Cell(2, ((0, 1),), edge_operators=("conv",)))
    large = lower(Cell(3, ((0, 1), (1, 2)), edge_operators=("conv", "pool")))
    batch = pack([[small], [large]], VOCABULARY)
    assert batch.operators.tolist() == [[[0, 2, 1, -1]], [[0, 2, 3, 1]]]
    assert batch.operators.dtype == np.int8
    assert batch.adjacency.shape == (2, 1, 4, 4)
    assert batch.adjacency[0, 0, 3].sum() == batch.adjacency[0, 0, :, 3].sum() == 0


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0]), np.array([False, True, True])], ids=["slice", "index", "mask"])
def test_a_batch_can_be_cut(rows: slice | np.ndarray) -> None:
    names = ["conv", "pool", "skip"]
    batch = pack([[lower(Cell(2, ((0, 1),), edge_operators=(name,)))] for name in names], VOCABULARY)
    part = batch[rows]
    assert [part.graph(row).operators[1] for row in range(len(part))] == np.array(names)[rows].tolist()
    assert part.vocabulary == VOCABULARY


def test_operators_outside_the_vocabulary_are_refused() -> None:
    batch = pack([[lower(Cell(2, ((0, 1),), edge_operators=("conv",)))]], VOCABULARY)
    batch.operators[0, 0, 1] = len(VOCABULARY)
    with pytest.raises(ArchitectureError, match=r"operators: expected indices into the 5 names .* got \[0, 5, 1\] in row 0"):
        batch.graph(0)


def test_nothing_packs_to_an_empty_batch() -> None:
    assert len(pack([], VOCABULARY)) == 0


def test_the_first_cells_of_a_batch_keep_their_graphs() -> None:
    small = lower(Cell(3, ((0, 1), (1, 2)), node_operators=(INPUT, "conv", OUTPUT)))
    large = lower(Cell(4, ((0, 1), (1, 2), (2, 3)), node_operators=(INPUT, "conv", "pool", OUTPUT)))
    batch = pack([[small, large], [small, large]], VOCABULARY)
    first = batch.first_cells(1)
    assert first.operators.shape == (2, 1, 3)
    assert first.graph(1).operators == small.operators
    assert batch.first_cells(None) is batch.first_cells(2) is batch
