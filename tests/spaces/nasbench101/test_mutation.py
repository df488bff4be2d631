"""Mutations of NAS-Bench-101 cells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture, Cell
from archsearch.spaces.nasbench101.space import NASBench101

SPACE, UNIFORM = NASBench101(), NASBench101(sampler="uniform")
CONV3, CONV1, POOL = NASBench101.operators
# The cell with the best mean test accuracy of the benchmark, 94.32 %.
BEST = (
    "[[0,1,1,0,0,1,1],[0,0,0,0,0,1,0],[0,0,0,1,0,0,0],[0,0,0,0,1,0,0],[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]] "
    "[input,conv1x1-bn-relu,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,output]"
)


def build(size: int, edges: list[tuple[int, int]], *operators: str) -> Architecture:
    """Return the architecture of edges, by way of its text."""
    matrix = [[int((source, target) in edges) for target in range(size)] for source in range(size)]
    return SPACE.parse(f"{matrix} {['input', *operators, 'output']}")


def population(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for space in (SPACE, UNIFORM) for _ in range(count // 2)]


def cell_of(architecture: Architecture) -> Cell:
    return architecture.cells[0]


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
