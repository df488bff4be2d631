"""Populations of NAS-Bench-101 cells as graphs, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench101.enumeration import Cells
from archsearch.spaces.nasbench101.space import NASBench101

SPACE, UNIFORM = NASBench101(), NASBench101(sampler="uniform")
CONV3, CONV1, POOL = NASBench101.operators


def build(size: int, edges: list[tuple[int, int]], *operators: str) -> Architecture:
    """Return the architecture of edges, by way of its text."""
    matrix = [[int((source, target) in edges) for target in range(size)] for source in range(size)]
    return SPACE.parse(f"{matrix} {['input', *operators, 'output']}")


def population(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for space in (SPACE, UNIFORM) for _ in range(count // 2)]


def test_encoding_equals_the_general_way() -> None:
    architectures = [build(2, [(0, 1)]), *population(60)]
    fast, slow = SPACE.encode(architectures), super(NASBench101, SPACE).encode(architectures)
    assert fast.vocabulary == slow.vocabulary
    assert np.array_equal(fast.operators, slow.operators)
    assert np.array_equal(fast.adjacency, slow.adjacency)


def test_genotypes_and_integers_have_the_same_encoding(cells: Cells) -> None:
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
