"""NAS-Bench-101 cells as integers: pruning, canonical codes and the published hash."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture, Cell, SearchSpace
from archsearch.spaces.canonical import canonical_form
from archsearch.spaces.graph import lower
from archsearch.spaces.nasbench101.space import NASBench101

SPACE, UNIFORM = NASBench101(), NASBench101(sampler="uniform")
CONV3, CONV1, POOL = NASBench101.operators
seeds = st.integers(0, 2**32 - 1)


def build(size: int, edges: list[tuple[int, int]], *operators: str) -> Architecture:
    """Return the architecture of edges, by way of its text."""
    matrix = [[int((source, target) in edges) for target in range(size)] for source in range(size)]
    return SPACE.parse(f"{matrix} {['input', *operators, 'output']}")


def population(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for space in (SPACE, UNIFORM) for _ in range(count // 2)]


def cell_of(architecture: Architecture) -> Cell:
    return architecture.cells[0]


def shuffled(cell: Cell, rng: np.random.Generator) -> Cell:
    """Return a cell with its interior vertices in another topological order, where there is one."""
    last = cell.num_nodes - 1
    while True:
        place = [0, *(1 + rng.permutation(last - 1)).tolist(), last]
        edges = [(place[source], place[target]) for source, target in cell.edges]
        if all(source < target for source, target in edges):
            order = sorted(range(cell.num_nodes), key=place.__getitem__)
            return Cell(cell.num_nodes, tuple(sorted(edges)), tuple(cell.node_operators[vertex] for vertex in order))


def read(cell: Cell) -> Architecture:
    return build(cell.num_nodes, list(cell.edges), *cell.node_operators[1:-1])


def varied_cells(count: int) -> list[Cell]:
    """Return cells, the same in another order, and mutations of them."""
    rng = np.random.default_rng(0)
    drawn = population(count)
    mutated = [cell_of(SPACE.mutate(architecture, rng)) for architecture in drawn]
    return [*map(cell_of, drawn), *(shuffled(cell_of(architecture), rng) for architecture in drawn), *mutated]


def test_the_key_is_that_of_any_canonical_form() -> None:
    pairs = {(SPACE.key(read(cell)), canonical_form(lower(cell))) for cell in varied_cells(200)}
    keys, forms = zip(*pairs, strict=True)
    assert len(set(keys)) == len(set(forms)) == len(pairs)


def test_the_general_key_is_as_good() -> None:
    pairs = {(SPACE.key(each), SearchSpace.key(SPACE, each)) for each in map(read, varied_cells(50))}
    keys, general = zip(*pairs, strict=True)
    assert len(set(keys)) == len(set(general)) == len(pairs)


@settings(deadline=None, max_examples=100)
@given(seed=seeds)
def test_renumbering_keeps_the_architecture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = SPACE.sample(rng)
    assert read(shuffled(cell_of(architecture), rng)) == architecture


def published_hash(cell: Cell) -> str:
    """Return the benchmark's own graph hash (algorithm 1 of the paper's supplement)."""

    def digest(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    labels = [-1, *(SPACE.operators.index(operator) for operator in cell.node_operators[1:-1]), -2]
    after = [[target for source, target in cell.edges if source == vertex] for vertex in range(cell.num_nodes)]
    before = [[source for source, target in cell.edges if target == vertex] for vertex in range(cell.num_nodes)]
    hashes = [digest(str(entry)) for entry in zip(map(len, after), map(len, before), labels, strict=True)]
    for _ in range(cell.num_nodes):
        joined = [
            ("".join(sorted(hashes[other] for other in others)) for others in pair) for pair in zip(before, after, strict=True)
        ]
        hashes = [digest(f"{into}|{out}|{own}") for (into, out), own in zip(joined, hashes, strict=True)]
    return digest(str(sorted(hashes)))


def test_the_identity_is_that_of_the_published_hash() -> None:
    pairs = {(SPACE.key(read(cell)), published_hash(cell)) for cell in varied_cells(200)}
    keys, hashes = zip(*pairs, strict=True)
    assert len(set(keys)) == len(set(hashes)) == len(pairs)


def test_too_many_edges_are_refused() -> None:
    edges = list(itertools.combinations(range(5), 2))
    with pytest.raises(ArchitectureError, match="expected at most 9 between vertices on a path .* got 10. Remove 1"):
        build(5, edges, CONV1, CONV1, CONV1)
    assert len(cell_of(build(5, edges[1:], CONV1, CONV1, CONV1)).edges) == 6, "vertex 1 has no input, so that 3 edges go with it"


def live_subgraph(edges: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges on a path from vertex 0 to vertex 6, by listing all paths."""

    def paths(vertex: int) -> Iterator[list[tuple[int, int]]]:
        if vertex == 6:
            yield []
        for source, target in edges:
            if source == vertex:
                yield from ([(source, target), *rest] for rest in paths(target))

    return set(itertools.chain.from_iterable(paths(0)))


@settings(deadline=None, max_examples=300)
@given(
    edges=st.lists(st.sampled_from(list(itertools.combinations(range(7), 2))), unique=True, min_size=1, max_size=14),
    operators=st.tuples(*[st.integers(0, 2)] * 5),
)
def test_raw_cells_are_pruned_or_refused(edges: list[tuple[int, int]], operators: tuple[int, ...]) -> None:
    genes = [int((x, y) in edges) for y in range(7) for x in range(y)]
    kept = live_subgraph(edges)
    if not 1 <= len(kept) <= 9:
        with pytest.raises(ArchitectureError, match="edges: expected"):
            SPACE.from_genotype((*genes, *operators))
        return
    vertices = sorted({vertex for edge in kept for vertex in edge})
    edges = [(vertices.index(source), vertices.index(target)) for source, target in kept]
    expected = Cell(
        len(vertices), tuple(edges), ("input", *(SPACE.operators[operators[v - 1]] for v in vertices[1:-1]), "output")
    )
    cell = cell_of(SPACE.from_genotype((*genes, *operators)))
    assert canonical_form(lower(cell)) == canonical_form(lower(expected))


def test_integers_are_read_as_the_table_writes_them() -> None:
    # Edges 0>1, 0>2, 1>2 of three vertices, and the same with a vertex that leads nowhere.
    expected = build(3, [(0, 1), (0, 2), (1, 2)], POOL)
    assert SPACE.from_adjacency(0b111, [2, -1, -1, -1, -1]) == expected
    assert SPACE.from_adjacency(0b111, [2]) == expected
    assert SPACE.from_adjacency(0b101_011, [2, 0]) == build(4, [(0, 1), (0, 2), (0, 3), (2, 3)], POOL, CONV3)


@pytest.mark.parametrize(
    ("adjacency", "operators", "message"),
    [
        (1 << 3, [0], "adjacency: expected the edges of 3 vertices, 3 bits; got 8"),
        (-1, [0], "adjacency: expected the edges of 3 vertices"),
        (1, [3], "operators: expected at most 5 indices from 0 to 2"),
        (1, [-1, 0], "operators: expected at most 5 indices from 0 to 2, then -1"),
        (1, [0] * 6, "operators: expected at most 5, input and output left out"),
        (1, [-2], "operators: expected at most 5 indices from 0 to 2"),
        (0, [], "expected a path from input to output; got none"),
    ],
)
def test_wrong_integers_are_explained(adjacency: int, operators: list[int], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.from_adjacency(adjacency, operators)


def test_wrong_rows_of_integers_are_explained() -> None:
    good = [0, 2, -1, -1, -1]
    with pytest.raises(ArchitectureError, match=r"operators: expected .* got \[0, -1, 2, -1, -1\]"):
        SPACE.encode_adjacency([0b111_111, 0b111_111], [good, [0, -1, 2, -1, -1]])
    with pytest.raises(ArchitectureError, match="adjacency: expected the edges of 4 vertices, 6 bits; got 64"):
        SPACE.encode_adjacency([0b111_111, 0b1_000_000], [good, good])
