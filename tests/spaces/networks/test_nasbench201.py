"""Networks of the NAS-Bench-201 space: published costs, and equal functions for equal keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.spaces import Architecture, Cost
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
NONE, SKIP, CONV1, CONV3, POOL = range(5)
genotypes = st.tuples(*[st.integers(0, 4)] * 6)


def cell(edge01: int, edge02: int, edge12: int, edge03: int, edge13: int, edge23: int) -> Architecture:
    return SPACE.from_genotype((edge01, edge02, edge12, edge03, edge13, edge23))


def test_all_costs_are_the_published_ones(data: Path) -> None:
    columns = ["arch", "params_cifar10", "flops_cifar10", "params_imagenet16", "flops_imagenet16"]
    table = pq.read_table(data / "nasbench201.parquet", columns=columns).to_pydict()
    architectures = [SPACE.parse(text) for text in table["arch"]]
    assert len(set(architectures)) == 15625
    for architecture, params, macs in zip(architectures, table["params_cifar10"], table["flops_cifar10"], strict=True):
        assert SPACE.cost(architecture) == Cost(params, macs), str(architecture)
    for architecture, params, macs in zip(architectures, table["params_imagenet16"], table["flops_imagenet16"], strict=True):
        assert SPACE.cost(architecture, (3, 16, 16), 120) == Cost(params, macs), str(architecture)


def test_cost_is_that_of_the_plan() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture, scale = SPACE.sample(rng), {"channels": 8, "cells_per_stage": 2, "replicas": int(rng.integers(1, 4))}
        plan = SPACE.plan(architecture, 5, 1, **scale)
        assert SPACE.cost(architecture, (1, 8, 8), 5, **scale) == plan.cost((1, 8, 8))


def test_the_published_extremes_of_cost() -> None:
    assert SPACE.cost(cell(*[CONV3] * 6)) == Cost(1_531_546, 220_119_690)
    assert SPACE.cost(cell(*[NONE] * 6)) == Cost(73_306, 7_783_050)


EQUAL = {
    "a skip merged": (cell(SKIP, NONE, CONV3, NONE, NONE, POOL), cell(SKIP, CONV3, NONE, NONE, NONE, POOL)),
    "an edge that leads nowhere": (cell(CONV3, CONV1, NONE, NONE, NONE, SKIP), cell(POOL, CONV1, NONE, NONE, NONE, SKIP)),
    "the terms of a sum swapped": (cell(CONV1, NONE, NONE, CONV3, SKIP, NONE), cell(CONV3, NONE, NONE, CONV1, SKIP, NONE)),
}


def outputs_with_equal_weights(first: Architecture, second: Architecture) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of two cells in small networks that share the weights of each kind of step."""
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    logits = []
    for architecture in (first, second):
        plan = SPACE.plan(architecture, 5, 3, channels=4, cells_per_stage=1, replicas=1)
        weights = {
            step.name: step.operator.initial_parameters(torch.Generator().manual_seed(len(step.operator.parameter_shapes())))
            for step in plan.steps
        }
        logits.append(plan.apply(images, weights)[0])
    return logits[0], logits[1]


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_cells_of_one_key_compute_one_function(pair: tuple[Architecture, Architecture]) -> None:
    first, second = pair
    assert first != second
    assert SPACE.key(first) == SPACE.key(second)
    torch.testing.assert_close(*outputs_with_equal_weights(first, second), rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=25)
@given(genotype=genotypes)
def test_swapping_unconnected_inner_nodes_keeps_the_function(genotype: tuple[int, ...]) -> None:
    edge01, edge02, _, edge03, edge13, edge23 = genotype
    first = cell(edge01, edge02, NONE, edge03, edge13, edge23)
    second = cell(edge02, edge01, NONE, edge03, edge23, edge13)
    torch.testing.assert_close(*outputs_with_equal_weights(first, second), rtol=1e-4, atol=1e-4)
