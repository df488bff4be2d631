from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.baselines import ensemble_plan, resnet_plan
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.plan import Plan

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def members() -> list[Plan]:
    return [resnet_plan(4, 1, blocks=1, channels=width, stages=2, exit_every=2) for width in (2, 4, 6)]


def networks() -> tuple[Network, list[Network]]:
    """Return an ensemble and its members apart, all with the same weights."""
    whole, apart = Network(ensemble_plan(members())), [Network(plan) for plan in members()]
    state = whole.state_dict()
    for number, network in enumerate(apart):
        network.load_state_dict({name: state[name.replace("steps.", f"steps.net{number}_", 1)] for name in network.state_dict()})
    return whole, apart


def test_exits_are_the_mean_predictions_so_far() -> None:
    whole, apart = networks()
    with torch.inference_mode():
        shares = torch.stack([network.eval()(IMAGES).softmax(1) for network in apart])
        exits = whole.eval()(IMAGES)
    for count, logits in enumerate(exits, start=1):
        torch.testing.assert_close(logits.softmax(1), shares[:count].mean(0))


def test_in_training_each_member_is_alone() -> None:
    whole, apart = networks()
    exits = whole.train()(IMAGES)
    for network, logits in zip(apart, exits, strict=True):
        torch.testing.assert_close(logits, network.train()(IMAGES))


def test_costs_add_up() -> None:
    each = [exit_costs(plan, (1, 8, 8))[0] for plan in members()]
    found = exit_costs(ensemble_plan(members()), (1, 8, 8))
    assert [cost.macs for cost in found] == [sum(cost.macs for cost in each[: count + 1]) for count in range(3)]
    assert found[-1].params == sum(cost.params for cost in each)


def test_invalid_ensembles_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="members: expected at least one network"):
        ensemble_plan([])
    with pytest.raises(ConfigurationError, match="members: expected networks with one exit; got one with 6"):
        ensemble_plan([resnet_plan(4, 1)])
    with pytest.raises(ConfigurationError, match=r"for the same images; got channels \[1, 3\]"):
        ensemble_plan([members()[0], resnet_plan(4, 3, exit_every=6)])
