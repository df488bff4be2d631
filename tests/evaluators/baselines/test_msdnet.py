from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archsearch.errors import ConfigurationError
from archsearch.evaluators.baselines import msdnet_plan
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.plan import Plan


def executed(plan: Plan) -> set[str]:
    return {step.name for _, step, _ in plan.live_steps}


def test_a_small_network_counted_by_hand() -> None:
    plan = msdnet_plan(3, 1, exits=1, base=1, channels=2, growth=2, factors=(1, 2), classifier_channels=2)
    stem = 64 * 9 * 1 * 2 + 16 * 9 * 2 * 4
    # The coarse scale adds 4 channels: 2 from the fine one (2 in, bottleneck 2) and 2 of its own (4 in, bottleneck 4).
    layer = (64 * 2 * 2 + 16 * 9 * 2 * 2) + (16 * 4 * 4 + 16 * 9 * 4 * 2)
    classifier = 4 * 9 * 8 * 2 + 1 * 9 * 2 * 2 + 3 * (2 + 1)
    assert exit_costs(plan, (1, 8, 8))[0].macs == stem + layer + classifier


def test_the_published_network_has_seven_exits_and_loses_scales_along_its_depth() -> None:
    plan = msdnet_plan(10, 3)
    assert len(plan.outputs) == 7
    names = {step.name for step in plan.steps}
    scales = [{scale for scale in range(3) if f"layer{layer}_scale{scale}" in names} for layer in range(16)]
    assert scales == [{0, 1, 2}] * 6 + [{1, 2}] * 6 + [{2}] * 4
    assert {name for name in names if "transition" in name} == {
        *("layer6_transition_scale1", "layer6_transition_scale2", "layer12_transition_scale2")
    }
    assert "layer6_scale1_down" in names, "the layer after which a scale ends still reads it"
    assert "layer7_scale1_down" not in names
    widths = [plan.operators[name].output_shape((1, 8, 8))[0] for name in ("stem_scale0", "layer0_scale0", "layer0_scale2")]
    assert widths == [16, 6, 12], "12 of the 24 channels of the coarsest scale come from the next finer one"
    costs = [cost.macs for cost in exit_costs(plan, (3, 32, 32))]
    assert costs == sorted(costs)
    assert 10e6 < costs[0] < 20e6
    assert 60e6 < costs[-1] < 100e6


@pytest.mark.parametrize(
    "settings", [{"channels": 4}, {"channels": 8, "exits": 3, "base": 1, "step": 1}, {"exits": 2, "factors": (1,)}]
)
def test_costs_are_those_that_torch_counts(settings: dict[str, Any]) -> None:
    plan = msdnet_plan(5, 3, **settings)
    for count, cost in enumerate(exit_costs(plan, (3, 16, 16)), start=1):
        network = Network(Plan(plan.in_channels, plan.steps, plan.outputs[:count])).eval()
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.zeros(1, 3, 16, 16))
        assert cost.macs == counter.get_total_flops() // 2 + 5 * count, "a bias counts as one more input"


def test_the_last_layer_of_a_fine_scale_feeds_no_exit_and_is_left_out() -> None:
    plan = msdnet_plan(5, 3, exits=1, base=2, channels=8, factors=(1, 2))
    names = {step.name for step in plan.steps}
    assert {"layer1_scale1", "layer0_scale0"} <= executed(plan)
    dead = msdnet_plan(5, 3, exits=1, base=1, channels=8, factors=(1, 2))
    assert "layer0_scale0" not in executed(dead)
    assert "layer0_scale0" in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"exits": 0}, "exits: expected at least 1; got 0"),
        ({"base": 0}, "base: expected at least 1; got 0"),
        ({"factors": ()}, "factors: expected at least 1; got 0"),
        ({"factors": (1, 1), "growth": 3}, r"growth: expected an even number times each of the factors \(1,\); got 3"),
    ],
)
def test_wrong_sizes_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        msdnet_plan(10, 3, **settings)
