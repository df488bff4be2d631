from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.spaces.cost import Cost
from archsearch.spaces.exits import cheapest_exits_first, exit_costs
from archsearch.spaces.operators import Convolution, GlobalAveragePool, Linear, Sum
from archsearch.spaces.plan import Plan, PlanBuilder, initial_parameters

SHAPE = (2, 4, 4)
IMAGES = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
SMALL, LARGE, CLASSIFIER = 16 * 4, 16 * 4 * 9, 3 * (2 + 1)
"""MACs of a 1x1 and a 3x3 convolution of two channels on 4x4 positions, and of a classifier of three classes with bias."""


def exit_at(build: PlanBuilder, name: str, slot: int) -> int:
    return build.add(name, Linear(2, 3), build.add(f"{name}_pool", GlobalAveragePool(), slot))


def forked() -> Plan:
    """Two branches, a step behind the large one, and the sum of that and the small one; each has an exit, the small one last."""
    build = PlanBuilder(in_channels=2)
    large = build.add("large", Convolution(2, 2, (3, 3)), build.input)
    small = build.add("small", Convolution(2, 2, (1, 1)), build.input)
    build.add("dead", Convolution(2, 2, (5, 5)), build.input)
    behind = build.add("behind", Convolution(2, 2, (1, 1)), large)
    both = build.add("both", Sum(), small, behind)
    exits = [("behind", behind), ("both", both), ("large", large), ("small", small)]
    return build.finish(*(exit_at(build, f"exit_{name}", slot) for name, slot in exits))


def exit_names(plan: Plan) -> list[str]:
    return [plan.steps[slot - 1].name for slot in plan.outputs]


def test_costs_follow_the_order_of_the_exits() -> None:
    macs = [cost.macs for cost in exit_costs(forked(), SHAPE)]
    spent = [LARGE + SMALL, LARGE + 2 * SMALL, LARGE + 2 * SMALL, LARGE + 2 * SMALL]
    assert exit_names(forked()) == ["exit_behind", "exit_both", "exit_large", "exit_small"]
    assert macs == [macs + count * CLASSIFIER for count, macs in enumerate(spent, start=1)]


def test_the_exit_that_needs_least_comes_next() -> None:
    plan = cheapest_exits_first(forked(), SHAPE)
    assert exit_names(plan) == ["exit_small", "exit_large", "exit_behind", "exit_both"]
    spent = [SMALL, SMALL + LARGE, 2 * SMALL + LARGE, 2 * SMALL + LARGE]
    expected = [macs + count * CLASSIFIER for count, macs in enumerate(spent, start=1)]
    assert [cost.macs for cost in exit_costs(plan, SHAPE)] == expected
    assert [cost.params for cost in exit_costs(plan, SHAPE)] == [4 + 9, 40 + 18, 44 + 27, 44 + 36]


def test_an_exit_near_the_last_one_goes_before_a_cheaper_one_apart() -> None:
    build = PlanBuilder(in_channels=2)
    first = build.add("first", Convolution(2, 2, (3, 3)), build.input)
    apart = build.add("apart", Convolution(2, 2, (3, 3)), build.add("a", Convolution(2, 2, (1, 1)), build.input))
    near = build.add("near", Convolution(2, 2, (3, 3)), build.add("n", Convolution(2, 2, (1, 1)), first))
    outputs = [exit_at(build, f"exit_{name}", slot) for name, slot in [("near", near), ("apart", apart), ("first", first)]]
    plan = cheapest_exits_first(build.finish(*outputs), SHAPE)
    assert exit_names(plan) == ["exit_first", "exit_near", "exit_apart"], "equal costs keep their order"


def test_steps_stand_in_the_order_of_the_exits() -> None:
    plan = cheapest_exits_first(forked(), SHAPE)
    shapes = plan.shapes(SHAPE)
    macs = [step.operator.macs(*(shapes[slot] for slot in step.inputs)) for step in plan.steps]
    assert [sum(macs[:slot]) for slot in plan.outputs] == [cost.macs for cost in exit_costs(plan, SHAPE)]
    assert plan.steps[-1].name == "dead"
    assert plan.cost(SHAPE) == forked().cost(SHAPE)


def test_another_order_computes_the_same() -> None:
    plan, ordered = forked(), cheapest_exits_first(forked(), SHAPE)
    parameters = initial_parameters(plan, torch.Generator().manual_seed(1))
    expected = dict(zip(exit_names(plan), plan.apply(IMAGES, parameters), strict=True))
    for name, logits in zip(exit_names(ordered), ordered.apply(IMAGES, parameters), strict=True):
        assert torch.equal(logits, expected[name])


def test_shared_parameters_count_once() -> None:
    build, shared = PlanBuilder(in_channels=2), Convolution(2, 2, (3, 3))
    once = build.add("shared", shared, build.input)
    twice = build.add("shared", shared, once)
    plan = build.finish(once, twice)
    assert exit_costs(plan, SHAPE) == (Cost(36, LARGE), Cost(36, 2 * LARGE))


def random_plan(data: st.DataObject) -> Plan:
    build = PlanBuilder(in_channels=2)
    for step in range(data.draw(st.integers(1, 12))):
        kernel = data.draw(st.sampled_from([1, 3]))
        build.add(f"step{step}", Convolution(2, 2, (kernel, kernel)), data.draw(st.integers(0, step)))
    slots = st.integers(1, len(build.steps))
    return build.finish(*data.draw(st.lists(slots, min_size=1, max_size=5, unique=True)))


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_costs_are_those_of_the_network_cut_behind_the_exit(data: st.DataObject) -> None:
    plan = random_plan(data)
    for candidate in (plan, cheapest_exits_first(plan, SHAPE)):
        shapes = candidate.shapes(SHAPE)
        for count, cost in enumerate(exit_costs(candidate, SHAPE), start=1):
            live = Plan(candidate.in_channels, candidate.steps, candidate.outputs[:count]).live_steps
            macs = sum(step.operator.macs(*(shapes[slot] for slot in step.inputs)) for _, step, _ in live)
            params = sum(math.prod(shape) for _, step, _ in live for shape in step.operator.parameter_shapes().values())
            assert cost == Cost(params, macs)


def test_ordering_twice_changes_nothing() -> None:
    ordered = cheapest_exits_first(forked(), SHAPE)
    assert cheapest_exits_first(ordered, SHAPE) == ordered
