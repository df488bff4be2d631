from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archsearch.spaces.canonical import canonical_form, live_part
from archsearch.spaces.graph import Graph

Matrix = NDArray[np.bool_]


def graph(size: int, edges: list[tuple[int, int]], labels: str | None = None) -> Graph:
    adjacency = np.zeros((size, size), dtype=bool)
    for source, target in edges:
        adjacency[source, target] = True
    return Graph(tuple(labels or "a" * size), adjacency)


def relabelled(original: Graph, order: NDArray[np.int64]) -> Graph:
    return Graph(tuple(original.operators[node] for node in order), original.adjacency[np.ix_(order, order)])


def brute_force(original: Graph) -> tuple[tuple[str, ...], bytes]:
    """Return the least of all renumberings of a graph."""
    orders = itertools.permutations(range(len(original.operators)))
    renumbered = (relabelled(original, np.array(order)) for order in orders)
    return min((other.operators, other.adjacency.tobytes()) for other in renumbered)


def all_graphs(size: int, places: list[tuple[int, int]]) -> list[Graph]:
    subsets = itertools.product((False, True), repeat=len(places))
    return [graph(size, list(itertools.compress(places, chosen))) for chosen in subsets]


@pytest.mark.parametrize(("size", "classes"), [(1, 1), (2, 2), (3, 6), (4, 31), (5, 302)])
def test_number_of_acyclic_graphs(size: int, classes: int) -> None:
    # On-Line Encyclopedia of Integer Sequences, A003087.
    graphs = all_graphs(size, list(itertools.combinations(range(size), 2)))
    assert len({canonical_form(each) for each in graphs}) == classes


@pytest.mark.parametrize(("size", "classes"), [(2, 3), (3, 16), (4, 218)])
def test_number_of_directed_graphs(size: int, classes: int) -> None:
    # On-Line Encyclopedia of Integer Sequences, A000273.
    graphs = all_graphs(size, list(itertools.permutations(range(size), 2)))
    assert len({canonical_form(each) for each in graphs}) == classes


@pytest.mark.parametrize(("size", "count"), [(3, 200), (4, 300), (5, 150), (6, 60)])
def test_forms_are_equal_exactly_where_some_renumbering_is(size: int, count: int) -> None:
    rng = np.random.default_rng(size)
    graphs = []
    for _ in range(count):
        adjacency = np.triu(rng.random((size, size)) < rng.uniform(0.2, 0.8), 1)
        graphs.append(Graph(tuple(rng.choice(["a", "b"], size, p=[0.8, 0.2])), adjacency))
    forms, least = [canonical_form(each) for each in graphs], [brute_force(each) for each in graphs]
    assert len(set(forms)) == len(set(least)) == len(set(zip(forms, least, strict=True)))


@st.composite
def labelled_graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(0, 14))
    labels = draw(st.lists(st.sampled_from(["conv", "pool", "input", 'a","b']), min_size=size, max_size=size))
    pairs = st.tuples(st.integers(0, 13), st.integers(0, 13)).map(sorted).filter(lambda pair: pair[0] < pair[1] < size)
    adjacency = np.zeros((size, size), dtype=bool)
    for source, target in draw(st.lists(pairs, max_size=30)) if size > 1 else []:
        adjacency[source, target] = True
    return Graph(tuple(labels), adjacency)


@settings(deadline=None, max_examples=100)
@given(original=labelled_graphs(), seed=st.integers(0, 2**32 - 1))
def test_renumbering_keeps_the_form(original: Graph, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(original.operators))
    assert canonical_form(relabelled(original, order)) == canonical_form(original)


@settings(deadline=None, max_examples=100)
@given(original=labelled_graphs().filter(lambda each: len(each.operators) > 1), data=st.data())
def test_one_edge_or_label_more_changes_the_form(original: Graph, data: st.DataObject) -> None:
    size = len(original.operators)
    source = data.draw(st.integers(0, size - 2))
    target = data.draw(st.integers(source + 1, size - 1))
    adjacency = original.adjacency.copy()
    adjacency[source, target] ^= True
    assert canonical_form(Graph(original.operators, adjacency)) != canonical_form(original)
    assert canonical_form(Graph(("other", *original.operators[1:]), original.adjacency)) != canonical_form(original)


def test_direction_and_labels_count() -> None:
    path = [(0, 1), (1, 2)]
    assert canonical_form(graph(3, path, "aab")) != canonical_form(graph(3, path, "baa"))
    assert canonical_form(graph(3, [(0, 1), (0, 2)])) != canonical_form(graph(3, [(0, 2), (1, 2)]))
    assert canonical_form(Graph(("a,b", "c"), np.zeros((2, 2), bool))) != canonical_form(
        Graph(("a", "b,c"), np.zeros((2, 2), bool))
    )


def chains(number: int, length: int) -> Graph:
    """Return equal chains side by side between an input and an output."""
    size = number * length + 2
    edges = []
    for first in range(1, size - 1, length):
        nodes = [0, *range(first, first + length), size - 1]
        edges += list(itertools.pairwise(nodes))
    return graph(size, edges)


def circulant(size: int, steps: tuple[int, ...]) -> Graph:
    """Return two rows of nodes, with edges from each node of the first to those some steps on in the second."""
    return graph(2 * size, [(node, size + (node + step) % size) for node in range(size) for step in steps])


def layers(number: int, width: int) -> Graph:
    """Return rows of nodes, each joined to all of the next row."""
    pairs = itertools.product(range(number - 1), range(width), range(width))
    return graph(number * width, [(row * width + a, (row + 1) * width + b) for row, a, b in pairs])


HARD = {
    "15 twins": chains(15, 1),
    "28 twins": chains(28, 1),
    "14 chains of 2": chains(14, 2),
    "7 chains of 4": chains(7, 4),
    "no edges": graph(30, []),
    "complete layers": layers(5, 6),
    "a long cycle": circulant(15, (0, 1)),
    "regular of degree 3": circulant(15, (0, 1, 3)),
}


@pytest.mark.timeout(60)  # without its cuts the search would not end
@pytest.mark.parametrize("original", HARD.values(), ids=HARD)
def test_renumbered_symmetric_graphs_have_one_form(original: Graph) -> None:
    form = canonical_form(original)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(original.operators))
        assert canonical_form(relabelled(original, order)) == form


def test_regular_graphs_that_refinement_does_not_distinguish() -> None:
    # One cycle of 12 edges against two of 6: each node has the same neighbourhood, however far one looks.
    one = circulant(6, (0, 1))
    two = graph(
        12, [(3 * half + node, 6 + 3 * half + (node + step) % 3) for half in (0, 1) for node in range(3) for step in (0, 1)]
    )
    assert one.adjacency.sum() == two.adjacency.sum() == 12
    assert canonical_form(one) != canonical_form(two)


def test_live_part_leaves_out_what_lies_on_no_path() -> None:
    edges = [(0, 1), (1, 5), (0, 2), (3, 5)]  # 2 leads nowhere, 3 has no input, 4 is alone
    operators = ("input", "conv", "pool", "conv", "pool", "output")
    live = live_part(Graph(operators, graph(6, edges).adjacency))
    assert live.operators == ("input 0", "conv", "output")
    assert np.array_equal(live.adjacency, graph(3, [(0, 1), (1, 2)]).adjacency)


def test_live_part_distinguishes_inputs() -> None:
    operators = ("input", "input", "conv", "output")
    first, second = (graph(4, [(source, 2), (2, 3), (1 - source, 3)]).adjacency for source in (0, 1))
    assert canonical_form(Graph(operators, first)) == canonical_form(Graph(operators, second))
    assert canonical_form(live_part(Graph(operators, first))) != canonical_form(live_part(Graph(operators, second)))


def test_live_part_of_an_unconnected_graph_is_empty() -> None:
    live = live_part(Graph(("input", "conv", "output"), graph(3, [(0, 1)]).adjacency))
    assert live.operators == ()
    assert live.adjacency.shape == (0, 0)
