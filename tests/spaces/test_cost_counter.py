from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.spaces.builder import Builder
from archsearch.spaces.cost import Cost
from archsearch.spaces.cost_counter import CostCounter
from archsearch.spaces.operators import Convolution, GlobalAveragePool, Linear, MaxPool, Sum, conv_bn
from archsearch.spaces.plan import PlanBuilder


def residual(build: Builder, name: str, inputs: Sequence[int], kernel: int, channels: int) -> int:
    """Apply one convolution twice, with the same weights, and add the input."""
    (x,) = inputs
    shared = Convolution(channels, channels, (kernel, kernel))
    y = build.add(name, shared, build.add(name, shared, x))
    return build.add(f"{name}_sum", Sum(), x, y)


def pair(build: Builder, name: str, inputs: Sequence[int], channels: int) -> int:
    """Add a block in a block, and a reduction."""
    x = build.block(f"{name}_first", residual, inputs, 3, channels)
    return build.add(f"{name}_pool", MaxPool(3, 2), build.block(f"{name}_second", residual, (x,), 1, channels))


def network(build: Builder) -> int:
    x = build.add("stem", conv_bn(build.in_channels, 4, 3), build.input)
    for number in range(3):
        x = build.block(f"pair{number}", pair, (x,), 4)
    return build.add("classifier", Linear(4, 5), build.add("pool", GlobalAveragePool(), x))


@pytest.mark.parametrize("size", [(8, 8), (9, 5), (1, 1)])
def test_the_count_is_that_of_the_plan_and_of_a_sum_by_hand(size: tuple[int, int]) -> None:
    plan, count = PlanBuilder(3), CostCounter((3, *size))
    cost = plan.finish(network(plan)).cost((3, *size))
    output = network(count)
    assert (Cost(count.params, count.macs), count.shapes[output]) == (cost, (5,))
    params, (height, width) = 4 * 27 + 8 + 5 * 5, size
    macs = 4 * 27 * height * width + 5 * 5
    for _ in range(3):
        params += 16 * 9 + 16
        macs += 2 * (16 * 9 + 16) * height * width
        height, width = -(-height // 2), -(-width // 2)
    assert cost == Cost(params, macs)


def test_blocks_are_distinguished_by_function_arguments_and_shapes() -> None:
    count = CostCounter((4, 8, 8))
    costs = []
    for make, inputs, arguments in (
        (residual, (0,), (3, 4)),
        (residual, (0,), (5, 4)),
        (residual, (0,), (3, 4)),
        (pair, (0,), (4,)),
        (residual, (4,), (3, 4)),
    ):
        before = count.macs
        count.block("block", make, inputs, *arguments)
        costs.append(count.macs - before)
    work = 2 * 16 * 64
    assert costs == [9 * work, 25 * work, 9 * work, 10 * work, 9 * work // 4]


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(spaces.names()),
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    classes=st.integers(1, 20),
)
def test_costs_of_all_spaces_are_those_of_their_plans(name: str, seed: int, size: tuple[int, int], classes: int) -> None:
    space = spaces.get(name)
    architecture = space.sample(np.random.default_rng(seed))
    scale = {setting: value + seed % 3 for setting, value in space.scale_defaults.items() if setting != "replicas"}
    cost = space.cost(architecture, (2, *size), classes, **scale)
    assert cost == space.plan(architecture, classes, 2, **scale).cost((2, *size))
