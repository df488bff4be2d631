from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.architecture import Cell
from archsearch.spaces.graph import Graph, lower
from archsearch.spaces.wiring import (
    IN_DEGREES,
    Node,
    cell_of,
    cell_of_graph,
    check_in_degree,
    checked_genotype,
    draw_predecessors,
    nodes_and_leaves,
    nodes_of,
    predecessor_index,
    predecessor_sets,
)


@pytest.mark.parametrize("earlier", [2, 3, 16])
@pytest.mark.parametrize("in_degree", IN_DEGREES)
def test_sets_are_all_those_of_the_law(earlier: int, in_degree: str) -> None:
    expected = chain.from_iterable(combinations(range(earlier), size) for size in IN_DEGREES[in_degree])
    sets = predecessor_sets(earlier, in_degree)
    assert sorted(sets) == sorted(expected)
    assert [predecessor_index(earlier, sources, in_degree) for sources in sets] == list(range(len(sets)))


@pytest.mark.parametrize("in_degree", IN_DEGREES)
def test_a_node_with_one_node_before_it_reads_that(in_degree: str) -> None:
    assert predecessor_sets(1, in_degree) == ((0,),)
    assert draw_predecessors(np.random.default_rng(0), 1, in_degree) == 0


def test_in_degree_is_drawn_first_and_the_set_after_it() -> None:
    rng, draws = np.random.default_rng(0), 20_000
    counts = np.bincount([draw_predecessors(rng, 3, "one_or_two") for _ in range(draws)], minlength=6)
    expected = np.full(6, draws / 6)  # of three single nodes and three pairs
    assert ((counts - expected) ** 2 / expected).sum() < 20.5  # chi-square with 5 degrees of freedom, p = 0.001
    wide = [len(predecessor_sets(10, "one_or_two")[draw_predecessors(rng, 10, "one_or_two")]) for _ in range(draws)]
    assert np.mean(wide) == pytest.approx(1.5, abs=0.02), "10 single nodes and 45 pairs are drawn equally often"


def test_sets_outside_the_law_are_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"node 3: in_degree='two' does not allow the predecessors \[1\]"):
        predecessor_index(3, (1,), "two")
    with pytest.raises(ConfigurationError, match=r"in_degree: expected one of one, one_or_two, two; got 'three'"):
        check_in_degree("three")


def test_the_output_reads_what_nothing_else_reads() -> None:
    cell = cell_of([Node("a", (0,)), Node("b", (2,)), Node("c", (0, 2))], num_inputs=2)
    assert cell.node_operators == ("input", "input", "a", "b", "c", "output")
    assert nodes_and_leaves(cell, 2) == ([Node("a", (0,)), Node("b", (2,)), Node("c", (0, 2))], (1, 3, 4))


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 12), inputs=st.integers(1, 2))
def test_nodes_cells_and_graphs_are_one(seed: int, size: int, inputs: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = []
    for number in range(inputs, inputs + size):
        nodes.append(
            Node("ab"[rng.integers(2)], predecessor_sets(number, "one_or_two")[draw_predecessors(rng, number, "one_or_two")])
        )
    cell = cell_of(nodes, inputs)
    assert nodes_of(cell, inputs) == nodes
    assert cell_of_graph(lower(cell, inputs)) == cell
    read = {source for source, _ in cell.edges}
    assert read == set(range(inputs + size)), "each node leads to the output"


def test_graphs_with_edges_that_run_backwards_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="expected pairs source < target"):
        cell_of_graph(Graph(("input", "output"), np.array([[False, False], [True, False]])))


def test_genes_are_checked_one_by_one() -> None:
    choices = {"a": "xy", "b": "xyz"}
    assert checked_genotype([1, 2], choices) == (1, 2)
    with pytest.raises(ArchitectureError, match="genotype: expected 2 indices, one per gene; got 3"):
        checked_genotype([0, 0, 0], choices)
    with pytest.raises(ArchitectureError, match="genotype: expected an index from 0 to 2 for b; got 3"):
        checked_genotype([0, 3], choices)


def test_cells_without_output_edges_have_no_leaves() -> None:
    assert nodes_and_leaves(Cell(2, (), ("input", "output")), 1) == ([], ())
