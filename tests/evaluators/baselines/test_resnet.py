from __future__ import annotations

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.baselines import resnet_plan
from archsearch.spaces.exits import exit_costs


def test_a_small_network_counted_by_hand() -> None:
    plan = resnet_plan(3, 1, blocks=1, channels=2, stages=2)
    stem, first = 16 * 9 * 2, 2 * 16 * 9 * 2 * 2
    second = 4 * 9 * 2 * 4 + 4 * 9 * 4 * 4 + 4 * 2 * 4
    assert [cost.macs for cost in exit_costs(plan, (1, 4, 4))] == [
        stem + first + 3 * (2 + 1),
        stem + first + 3 * (2 + 1) + second + 3 * (4 + 1),
    ]


def test_the_network_of_twenty_layers() -> None:
    plan = resnet_plan(10, 3, blocks=3, channels=16, exit_every=9)
    cost = exit_costs(plan, (3, 32, 32))[-1]
    # 40.6 M MACs and 0.27 M parameters (He et al., table 6) without projections, which add 2 * 32 * 16 * 16 * 16 MACs.
    assert cost.macs == pytest.approx(40.6e6 + 2 * 131_072, rel=5e-3)
    assert cost.params == pytest.approx(0.27e6, rel=2e-2)


@pytest.mark.parametrize(("exit_every", "exits"), [(1, 6), (2, 3), (4, 2), (6, 1)])
def test_the_last_block_always_has_an_exit(exit_every: int, exits: int) -> None:
    plan = resnet_plan(10, 3, exit_every=exit_every)
    assert len(plan.outputs) == exits
    assert plan.outputs[-1] == len(plan.steps)


def test_sizes_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="exit_every: expected at least 1; got 0"):
        resnet_plan(10, 3, exit_every=0)
