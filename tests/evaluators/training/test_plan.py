"""The plan of a network in training, and its own at all other times."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Recipe
from archsearch.evaluators.training.plan import TrainingPlan
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()


def network() -> Network:
    cell = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    return SPACE.build(cell, 4, 1, channels=2, cells_per_stage=1)


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(0)]


def test_a_plain_recipe_leaves_the_network_alone() -> None:
    built = network()
    own = built.plan
    plan = TrainingPlan(built, Recipe(), generators())
    with plan.epoch(0.5, 0):
        assert built.plan is own
    assert not plan.has_auxiliary


def test_the_network_has_another_plan_within_an_epoch_only() -> None:
    built = network()
    own, names = built.plan, set(built.state_dict())
    plan = TrainingPlan(built, Recipe(auxiliary=0.4, drop_path=0.2), generators())
    assert plan.has_auxiliary
    assert set(built.state_dict()) > names
    with pytest.raises(KeyError), plan.epoch(0.5, 0):
        assert len(built.plan.outputs) == 2
        raise KeyError("whatever happens in an epoch")
    assert built.plan is own
    plan.remove()
    assert set(built.state_dict()) == names


@pytest.mark.parametrize("setting", ["drop_path", "auxiliary"])
def test_a_network_of_no_space_is_refused(setting: str) -> None:
    message = rf"{setting}: expected the network of a search space, .* got Linear. Set it to 0"
    with pytest.raises(ConfigurationError, match=message):
        TrainingPlan(nn.Linear(2, 2), Recipe(**{setting: 0.3}), generators())
