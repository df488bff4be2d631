from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces import Architecture, Cell, Cost, SearchSpace
from archsearch.spaces.canonical import canonical_form
from archsearch.spaces.graph import lower
from archsearch.spaces.nasbench101.enumeration import Cells, enumerate_cells
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.networks.nasbench101 import vertex_channels
from archsearch.spaces.plan import initial_parameters

SPACE, UNIFORM = NASBench101(), NASBench101(sampler="uniform")
CONV3, CONV1, POOL = NASBench101.operators
# The cell with the best mean test accuracy of the benchmark, 94.32 %.
BEST = (
    "[[0,1,1,0,0,1,1],[0,0,0,0,0,1,0],[0,0,0,1,0,0,0],[0,0,0,0,1,0,0],[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]] "
    "[input,conv1x1-bn-relu,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,output]"
)
SCALE = {"channels": 8, "cells_per_stack": 1, "stacks": 2}

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


# Identity


@pytest.fixture(scope="module")
def cells() -> Cells:
    return enumerate_cells()


def test_the_published_number_of_cells(cells: Cells) -> None:
    batch = SPACE.encode_adjacency(cells.adjacency, cells.operators)
    assert len(set(SPACE.keys(batch))) == len(batch) == SPACE.num_unique == 423_624
    assert SPACE.size == 2**21 * 3**5


def test_cells_of_the_enumeration_are_read_as_they_are(cells: Cells) -> None:
    for row in np.random.default_rng(0).choice(len(cells.adjacency), 300, replace=False):
        architecture = SPACE.from_adjacency(cells.adjacency[row], cells.operators[row])
        assert cell_of(architecture).num_nodes == cells.num_vertices[row]
        assert len(cell_of(architecture).edges) == int(cells.adjacency[row]).bit_count()


def test_up_to_five_vertices_the_enumeration_is_complete(cells: Cells) -> None:
    found = set()
    for size in range(2, 6):
        places = list(itertools.combinations(range(size), 2))
        for chosen in itertools.product((0, 1), repeat=len(places)):
            edges = list(itertools.compress(places, chosen))
            if (
                len(edges) <= 9
                and all({v for v, _ in edges} >= {v} and {v for _, v in edges} >= {v} for v in range(1, size - 1))
                and edges
            ):
                for operators in itertools.product(SPACE.operators, repeat=size - 2):
                    found.add(SPACE.key(build(size, edges, *operators)))
    small = cells.num_vertices <= 5
    assert found == set(SPACE.keys(SPACE.encode_adjacency(cells.adjacency[small], cells.operators[small])))


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


# The published table


@pytest.fixture(scope="module")
def table(data: Path) -> dict[str, Any]:
    read = pq.read_table(data / "nasbench101.parquet", columns=["hash48", "adjacency", "ops", "params", "flops", "test_acc"])
    operators = read["ops"].combine_chunks().flatten().to_numpy().reshape(-1, 5)
    return {**{name: read[name].to_numpy() for name in read.column_names if name != "ops"}, "ops": operators}


def test_the_published_cells_are_all_cells(table: dict[str, Any], cells: Cells) -> None:
    published = SPACE.keys(SPACE.encode_adjacency(table["adjacency"], table["ops"]))
    assert len(published) == len(set(published))
    assert set(published) == set(SPACE.keys(SPACE.encode_adjacency(cells.adjacency, cells.operators)))


def test_cells_and_costs_are_the_published_ones(table: dict[str, Any]) -> None:
    for row in np.random.default_rng(0).choice(len(table["params"]), 2000, replace=False):
        architecture = SPACE.from_adjacency(table["adjacency"][row], table["ops"][row])
        edges = cell_of(architecture).edges
        assert sum(1 << source + target * (target - 1) // 2 for source, target in edges) == table["adjacency"][row]
        expected = Cost(table["params"][row], table["flops"][row])
        assert SPACE.plan(architecture, 10, 3, **SPACE.scale_defaults).cost((3, 32, 32)) == expected, str(architecture)
        assert published_hash(cell_of(architecture)).startswith(f"{table['hash48'][row]:012x}")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_all_costs_are_the_published_ones(table: dict[str, Any]) -> None:
    for adjacency, operators, params, macs in zip(table["adjacency"], table["ops"], table["params"], table["flops"], strict=True):
        assert SPACE.cost(SPACE.from_adjacency(adjacency, operators)) == Cost(params, macs)


def test_the_best_published_cell_is_read(table: dict[str, Any]) -> None:
    best = int(np.argmax(table["test_acc"]))
    assert SPACE.key(SPACE.from_adjacency(table["adjacency"][best], table["ops"][best])) == SPACE.key(SPACE.parse(BEST))


def test_the_best_published_cell_has_its_published_parameters() -> None:
    assert SPACE.cost(SPACE.parse(BEST)).params == 32_426_634


@settings(deadline=None, max_examples=30)
@given(
    seed=seeds,
    channels=st.integers(5, 33),
    cells_per_stack=st.integers(1, 3),
    stacks=st.integers(1, 4),
    size=st.integers(1, 33),
)
def test_cost_is_that_of_the_plan(seed: int, channels: int, cells_per_stack: int, stacks: int, size: int) -> None:
    architecture = SPACE.sample(np.random.default_rng(seed))
    scale = {"channels": channels, "cells_per_stack": cells_per_stack, "stacks": stacks}
    plan = SPACE.plan(architecture, 7, 1, **scale)
    assert SPACE.cost(architecture, (1, size, size + 1), 7, **scale) == plan.cost((1, size, size + 1))


# Texts and integers


def test_texts_are_read_with_spaces_and_quotes() -> None:
    expected = build(3, [(0, 1), (0, 2), (1, 2)], CONV3)
    assert str(expected) == "[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]"
    for text in (
        " [[0, 1, 1], [0, 0, 1], [0, 0, 0]] ['input', 'conv3x3-bn-relu', 'output']\n",
        '[[0,1,1],\n [0,0,1],\n [0,0,0]], ["input", "conv3x3-bn-relu", "output"]',
    ):
        assert SPACE.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[0,1],[0,0]]", "expected a NAS-Bench-101 cell, matrix and labels, such as"),
        ("[[0,1],[0,0]] [input,output] [output]", "expected a NAS-Bench-101 cell, matrix and labels, such as"),
        ("[[0,1],[0,0]] [output,input]", "expected input first and output last; got 'output' and 'input'"),
        ("[[0,1,0],[0,0,1],[0,0,0]] [input,conv3x3,output]", "got 'conv3x3'. Did you mean 'conv3x3-bn-relu'?"),
        ("[[0,1,0],[0,0,1],[0,0,0]] [input,output,output]", "operator: expected one of conv1x1-bn-relu"),
        ("[[0,1],[0,0]] [input,maxpool3x3,output]", "expected 3 rows of 3 entries, one a label; got 2 rows"),
        ("[[0,1,0],[0,1],[0,0,0]] [input,maxpool3x3,output]", r"got 3 rows of \[3, 2, 3\] entries"),
        ("[[0,2],[0,0]] [input,output]", "expected the entries 0 and 1; got '2'"),
        ("[[0,],[0,0]] [input,output]", "expected the entries 0 and 1; got ''"),
        ("[[0,1,0],[0,0,1],[1,0,0]] [input,maxpool3x3,output]", "later vertices only .* got 2>0"),
        ("[[0,1,0],[0,1,1],[0,0,0]] [input,maxpool3x3,output]", "later vertices only .* got 1>1"),
        ("[[0,1,0],[0,0,0],[0,0,0]] [input,maxpool3x3,output]", "expected a path from input to output; got none"),
        ("[[0]] [input]", "expected 2 to 7 vertices, input and output included; got 1"),
        (f"{[[0] * 8] * 8} {['input', *['maxpool3x3'] * 6, 'output']}", "expected 2 to 7 vertices, .* got 8"),
    ],
)
def test_malformed_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(text)


def test_too_many_edges_are_refused() -> None:
    edges = list(itertools.combinations(range(5), 2))
    with pytest.raises(ArchitectureError, match="expected at most 9 between vertices on a path .* got 10. Remove 1"):
        build(5, edges, CONV1, CONV1, CONV1)
    assert len(cell_of(build(5, edges[1:], CONV1, CONV1, CONV1)).edges) == 6, "vertex 1 has no input, so that 3 edges go with it"


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="got None"):
        SPACE.parse(None)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet="[]01, inputoutput", max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        architecture = SPACE.parse(text)
    except ArchitectureError:
        return
    assert SPACE.parse(str(architecture)) == architecture


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


def test_genes_bear_the_names_of_edges_and_vertices() -> None:
    names = list(SPACE.param_space())
    assert names[:4] == ["edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3"]
    assert names[-6:] == ["edge_5_6", *(f"operator_{vertex}" for vertex in range(1, 6))]
    params = SPACE.params(SPACE.parse(BEST))
    assert (params["edge_0_5"], params["edge_0_3"], params["operator_5"]) == (1, 0, CONV3)
    unconnected = {name: 0 if name.startswith("edge") else CONV3 for name in names}
    with pytest.raises(ArchitectureError, match="expected a path from input to output"):
        SPACE.from_params(unconnected)


# Drawing and mutating


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="sampler: expected one of raw, uniform; got 'unifrom'. Did you mean 'uniform'?"):
        NASBench101(sampler="unifrom")


def test_uniform_samples_have_the_proportions_of_all_cells(cells: Cells) -> None:
    rng, count = np.random.default_rng(0), 4000
    share = float(np.mean(cells.num_vertices == 7))
    drawn = np.mean([cell_of(UNIFORM.sample(rng)).num_nodes == 7 for _ in range(count)])
    assert abs(drawn - share) < 4 * np.sqrt(share * (1 - share) / count)


def test_raw_samples_have_the_proportions_of_valid_genotypes() -> None:
    rng, count = np.random.default_rng(0), 3000
    drawn = [SPACE.sample(rng) for _ in range(count)]
    slow: list[Architecture] = []
    while len(slow) < count:
        try:
            slow.append(SPACE.from_genotype([*rng.integers(2, size=21), *rng.integers(3, size=5)]))
        except ArchitectureError:
            continue
    for property_of in (
        lambda cell: cell.num_nodes == 7,
        lambda cell: len(cell.edges) == 9,
        lambda cell: cell.node_operators.count(CONV1) > 1,
    ):
        ours, theirs = (np.mean([property_of(cell_of(each)) for each in group]) for group in (drawn, slow))
        assert abs(ours - theirs) < 4 * np.sqrt(2 * theirs * (1 - theirs) / count)


def neighbours(architecture: Architecture) -> set[Architecture]:
    """Return all mutations of a cell, by trying all changes."""
    cell = cell_of(architecture)
    size, inner = cell.num_nodes, list(cell.node_operators[1:-1])
    changes = []
    for edge in itertools.combinations(range(size), 2):
        changes.append((size, sorted(set(cell.edges) ^ {edge}), inner))
    for vertex, operator in itertools.product(range(size - 2), SPACE.operators):
        changes.append((size, list(cell.edges), [*inner[:vertex], operator, *inner[vertex + 1 :]]))
    for place, operator in itertools.product(range(1, size) if size < 7 else [], SPACE.operators):
        moved = [(source + (source >= place), target + (target >= place)) for source, target in cell.edges]
        for source, target in itertools.product(range(place), range(place + 1, size + 1)):
            changes.append(
                (size + 1, [*moved, (source, place), (place, target)], [*inner[: place - 1], operator, *inner[place - 1 :]])
            )
    found = set()
    for count, edges, operators in changes:
        try:
            found.add(build(count, edges, *operators))
        except ArchitectureError:
            continue
    return found - {architecture}


@pytest.mark.parametrize(
    "parent",
    [build(2, [(0, 1)]), build(4, [(0, 1), (1, 2), (0, 2), (2, 3)], CONV3, POOL), SPACE.parse(BEST)],
    ids=["no vertex", "two vertices", "best"],
)
def test_mutations_are_all_single_changes(parent: Architecture) -> None:
    rng = np.random.default_rng(0)
    assert {SPACE.mutate(parent, rng) for _ in range(4000)} == neighbours(parent)


def test_mutations_have_another_key() -> None:
    rng = np.random.default_rng(0)
    for parent in population(400):
        assert SPACE.key(SPACE.mutate(parent, rng)) != SPACE.key(parent)


# Populations


def test_encoding_equals_the_general_way() -> None:
    architectures = [build(2, [(0, 1)]), *population(60)]
    fast, slow = SPACE.encode(architectures), super(NASBench101, SPACE).encode(architectures)
    assert fast.vocabulary == slow.vocabulary
    assert np.array_equal(fast.operators, slow.operators)
    assert np.array_equal(fast.adjacency, slow.adjacency)


def test_genotypes_and_integers_are_encoded_alike(cells: Cells) -> None:
    rows = np.random.default_rng(0).choice(len(cells.adjacency), 100)
    architectures = [SPACE.from_adjacency(cells.adjacency[row], cells.operators[row]) for row in rows]
    expected = SPACE.encode(architectures)
    for batch in (
        SPACE.encode_adjacency(cells.adjacency[rows], cells.operators[rows]),
        SPACE.encode_genotypes(SPACE.genotypes(architectures)),
    ):
        assert np.array_equal(batch.operators, expected.operators)
        assert np.array_equal(batch.adjacency, expected.adjacency)


def test_raw_genotypes_are_pruned_in_encoding() -> None:
    rng = np.random.default_rng(0)
    genotypes: list[list[int]] = []
    architectures: list[Architecture] = []
    while len(genotypes) < 50:
        genotype = [*rng.integers(2, size=21), *rng.integers(3, size=5)]
        try:
            architectures.append(SPACE.from_genotype(genotype))
        except ArchitectureError:
            continue
        genotypes.append(genotype)
    assert SPACE.decode(SPACE.encode_genotypes(np.array(genotypes))) == architectures


def test_invalid_rows_are_named() -> None:
    rows = np.array([SPACE.genotype(architecture) for architecture in population(4)])
    rows[2, :21] = 0
    with pytest.raises(ArchitectureError, match="path from input to output; got none in row 2"):
        SPACE.encode_genotypes(rows)
    rows[3, 0] = 2
    with pytest.raises(ArchitectureError, match="genotypes: expected"):
        SPACE.encode_genotypes(rows)


def test_batches_of_another_space_are_not_decoded() -> None:
    batch = SPACE.encode([build(4, [(0, 1), (1, 2), (2, 3)], CONV3, POOL)])
    with pytest.raises(ArchitectureError, match="batch: expected graphs of nasbench101"):
        SPACE.decode(dataclasses.replace(batch, vocabulary=("input", "output", "conv")))

    def changed(field: str, place: tuple[int, ...], value: int) -> Any:
        array = getattr(batch, field).copy()
        array[(0, 0, *place)] = value
        return dataclasses.replace(batch, **{field: array})

    for wrong in (
        changed("operators", (0,), 2),  # no input
        changed("operators", (3,), 2),  # no output
        changed("operators", (1,), 1),  # two outputs
        changed("operators", (2,), -1),  # padding inside
        changed("operators", (5,), 2),  # an operator behind the padding
        changed("adjacency", (2, 1), 1),  # backwards
        changed("adjacency", (3, 4), 1),  # to padding
    ):
        with pytest.raises(ArchitectureError, match="batch: expected input, operators and output, .* got others in row 0"):
            SPACE.decode(wrong)
    with pytest.raises(ArchitectureError, match="path from input to output"):
        SPACE.decode(changed("adjacency", (1, 2), 0))


def test_graphs_with_dead_vertices_are_pruned() -> None:
    batch = SPACE.encode([build(4, [(0, 1), (1, 2), (2, 3), (0, 3)], CONV3, POOL)])
    adjacency = batch.adjacency.copy()
    adjacency[0, 0, 1, 2] = False
    assert SPACE.decode(dataclasses.replace(batch, adjacency=adjacency)) == [build(2, [(0, 1)])]


# Networks


STAR = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]


def test_channels_are_shared_by_what_feeds_the_output() -> None:
    star = Cell(5, tuple(STAR), ("input", CONV3, CONV1, POOL, "output"))
    assert vertex_channels(star, 64, 128) == [64, 43, 43, 42, 128]
    assert vertex_channels(star, 64, 256) == [64, 86, 85, 85, 256]


def test_channels_of_other_vertices_are_those_of_their_widest_target() -> None:
    edges = ((0, 1), (1, 2), (1, 4), (2, 3), (3, 5), (0, 4), (4, 5), (0, 5))
    cell = Cell(6, edges, ("input", CONV3, CONV3, CONV1, POOL, "output"))
    assert vertex_channels(cell, 9, 7) == [9, 4, 4, 4, 3, 7]


def test_too_few_channels_are_explained() -> None:
    star = build(5, STAR, CONV3, CONV1, POOL)
    for use in (SPACE.build, SPACE.cost):
        with pytest.raises(ConfigurationError, match="channels: expected at least 3, one for each vertex .* got 2"):
            use(star, channels=2)


def block(x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
    weight, scale, shift = parameters
    x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    return F.relu(F.batch_norm(x, None, None, scale, shift, training=True))


def cell_output(cell: Cell, x: Tensor, channels: list[int], weights: dict[str, tuple[Tensor, ...]], name: str) -> Tensor:
    """Return the output of a cell, written down as in the paper."""
    last, values = cell.num_nodes - 1, {0: x}
    for vertex in range(1, last):
        total = torch.zeros(())
        for source, target in cell.edges:
            if target == vertex:
                term = values[source][:, : channels[vertex]] if source else block(x, weights[f"{name}_project{vertex}"])
                total = total + term
        if cell.node_operators[vertex] == POOL:
            values[vertex] = F.max_pool2d(total, 3, 1, 1)
        else:
            values[vertex] = block(total, weights[f"{name}_vertex{vertex}"])
    joined = [values[vertex] for vertex in range(1, last) if (vertex, last) in cell.edges]
    output = torch.cat(joined, 1) if joined else torch.zeros(())
    return output + block(x, weights[f"{name}_project{last}"]) if (0, last) in cell.edges else output


@pytest.mark.parametrize("architecture", [build(2, [(0, 1)]), SPACE.parse(BEST), *population(10)], ids=SPACE.key)
def test_the_network_is_the_published_one(architecture: Architecture) -> None:
    cell = cell_of(architecture)
    plan = SPACE.plan(architecture, 5, 3, channels=8, cells_per_stack=2, stacks=2)
    weights = initial_parameters(plan, torch.Generator().manual_seed(0))
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    x, width = block(images, weights["stem"]), 8
    for stack in range(2):
        x = F.max_pool2d(x, 2, 2) if stack else x
        for position in range(2):
            channels = vertex_channels(cell, width, 8 * 2**stack)
            x = cell_output(cell, x, channels, weights, f"stack{stack}_cell{position}")
            width = 8 * 2**stack
    weight, bias = weights["classifier"]
    torch.testing.assert_close(plan.apply(images, weights)[0], F.linear(x.mean((2, 3)), weight, bias), rtol=1e-4, atol=1e-4)
