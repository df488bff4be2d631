"""All NAS-Bench-101 cells: as many as published, and the published ones."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from archsearch.spaces import Architecture, Cell
from archsearch.spaces.nasbench101.enumeration import Cells
from archsearch.spaces.nasbench101.space import NASBench101

SPACE = NASBench101()


def build(size: int, edges: list[tuple[int, int]], *operators: str) -> Architecture:
    """Return the architecture of edges, by way of its text."""
    matrix = [[int((source, target) in edges) for target in range(size)] for source in range(size)]
    return SPACE.parse(f"{matrix} {['input', *operators, 'output']}")


def cell_of(architecture: Architecture) -> Cell:
    return architecture.cells[0]


def test_the_published_number_of_cells(cells: Cells, keys: list[str]) -> None:
    assert len(set(keys)) == len(cells.adjacency) == SPACE.num_unique == 423_624
    assert SPACE.size == 2**21 * 3**5


def test_all_cells_are_listed_as_graphs(keys: list[str]) -> None:
    graphs = SPACE.listed_graphs()
    assert len(graphs) == SPACE.num_listed == len(keys)
    assert SPACE.keys(graphs[::1000]) == keys[::1000]


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


@pytest.fixture(scope="module")
def table(data: Path) -> dict[str, Any]:
    rows = pq.read_table(data / "nasbench101.parquet", columns=["hash48", "adjacency", "ops"])
    operators = rows["ops"].combine_chunks().flatten().to_numpy().reshape(-1, 5)
    return {**{name: rows[name].to_numpy() for name in rows.column_names if name != "ops"}, "ops": operators}


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


def test_cells_of_the_table_have_its_edges_and_hashes(table: dict[str, Any]) -> None:
    for row in np.random.default_rng(0).choice(len(table["adjacency"]), 2000, replace=False):
        cell = cell_of(SPACE.from_adjacency(table["adjacency"][row], table["ops"][row]))
        assert sum(1 << source + target * (target - 1) // 2 for source, target in cell.edges) == table["adjacency"][row]
        assert published_hash(cell).startswith(f"{table['hash48'][row]:012x}")


def test_the_published_cells_are_all_cells(table: dict[str, Any], keys: list[str]) -> None:
    published = SPACE.keys(SPACE.encode_adjacency(table["adjacency"], table["ops"]))
    assert len(published) == len(set(published))
    assert set(published) == set(keys)
