"""NAS-Bench-101 networks against the paper, and their costs against the published table."""

from __future__ import annotations

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

from archsearch.errors import ConfigurationError
from archsearch.spaces import Architecture, Cell, Cost
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


@pytest.fixture(scope="module")
def table(data: Path) -> dict[str, Any]:
    rows = pq.read_table(data / "nasbench101.parquet", columns=["adjacency", "ops", "params", "flops"])
    operators = rows["ops"].combine_chunks().flatten().to_numpy().reshape(-1, 5)
    return {**{name: rows[name].to_numpy() for name in rows.column_names if name != "ops"}, "ops": operators}


def test_costs_are_the_published_ones(table: dict[str, Any]) -> None:
    rows = np.random.default_rng(0).choice(len(table["params"]), 2000, replace=False)
    for number, row in enumerate(rows):
        architecture = SPACE.from_adjacency(table["adjacency"][row], table["ops"][row])
        expected = Cost(table["params"][row], table["flops"][row])
        assert SPACE.cost(architecture) == expected, str(architecture)
        if number < 200:  # plans of the full size take milliseconds each
            assert SPACE.plan(architecture, 10, 3, **SPACE.scale_defaults).cost((3, 32, 32)) == expected, str(architecture)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_all_costs_are_the_published_ones(table: dict[str, Any]) -> None:
    for adjacency, operators, params, macs in zip(table["adjacency"], table["ops"], table["params"], table["flops"], strict=True):
        assert SPACE.cost(SPACE.from_adjacency(adjacency, operators)) == Cost(params, macs)


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
