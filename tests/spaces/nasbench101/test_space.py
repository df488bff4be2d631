"""The NAS-Bench-101 space: samples, genes and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces import Architecture, Cell
from archsearch.spaces.nasbench101.enumeration import Cells
from archsearch.spaces.nasbench101.space import NASBench101

SPACE, UNIFORM = NASBench101(), NASBench101(sampler="uniform")
CONV3, CONV1, POOL = NASBench101.operators
# The cell with the best mean test accuracy of the benchmark, 94.32 %.
BEST = (
    "[[0,1,1,0,0,1,1],[0,0,0,0,0,1,0],[0,0,0,1,0,0,0],[0,0,0,0,1,0,0],[0,0,0,0,0,1,0],[0,0,0,0,0,0,1],[0,0,0,0,0,0,0]] "
    "[input,conv1x1-bn-relu,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,output]"
)


def cell_of(architecture: Architecture) -> Cell:
    return architecture.cells[0]


@pytest.fixture(scope="module")
def table(data: Path) -> dict[str, Any]:
    rows = pq.read_table(data / "nasbench101.parquet", columns=["adjacency", "ops", "test_acc"])
    operators = rows["ops"].combine_chunks().flatten().to_numpy().reshape(-1, 5)
    return {**{name: rows[name].to_numpy() for name in rows.column_names if name != "ops"}, "ops": operators}


def test_the_best_published_cell_is_read(table: dict[str, Any]) -> None:
    best = int(np.argmax(table["test_acc"]))
    assert SPACE.key(SPACE.from_adjacency(table["adjacency"][best], table["ops"][best])) == SPACE.key(SPACE.parse(BEST))


def test_genes_bear_the_names_of_edges_and_vertices() -> None:
    names = list(SPACE.param_space())
    assert names[:4] == ["edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3"]
    assert names[-6:] == ["edge_5_6", *(f"operator_{vertex}" for vertex in range(1, 6))]
    params = SPACE.params(SPACE.parse(BEST))
    assert (params["edge_0_5"], params["edge_0_3"], params["operator_5"]) == (1, 0, CONV3)
    unconnected = {name: 0 if name.startswith("edge") else CONV3 for name in names}
    with pytest.raises(ArchitectureError, match="expected a path from input to output"):
        SPACE.from_params(unconnected)


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
