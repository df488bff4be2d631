"""Baselines trained on the real digits."""

from __future__ import annotations

import pytest
import torch

from archsearch.evaluators import datasets
from archsearch.evaluators.anytime.model import AnytimeModel
from archsearch.evaluators.baselines import ensemble_plan, msdnet_plan, resnet_plan
from archsearch.evaluators.training.baseline import trained
from archsearch.evaluators.training.recipe import Recipe
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.plan import Plan

RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=0.05)
PLANS = {
    "msdnet": msdnet_plan(10, 1, channels=4, exits=3, base=1, step=1),
    "resnet": resnet_plan(10, 1, channels=6, blocks=1),
    "ensemble": ensemble_plan([resnet_plan(10, 1, channels=width, blocks=1, exit_every=3) for width in (4, 6)]),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_all_exits_learn_the_digits(plan: Plan) -> None:
    splits = datasets.load("digits")
    found = trained(plan, splits, RECIPE)
    assert found.test.budgets == tuple(cost.macs for cost in exit_costs(plan, (1, 8, 8)))
    assert found.test.chance == 0.1
    assert min(found.test.accuracies) > 0.2
    assert max(found.test.accuracies) > 0.75
    part = datasets.resident(splits.validation, *splits.train.statistics())
    model = AnytimeModel.counted(found.network, (1, 8, 8))
    for budget, accuracy in zip(found.validation.budgets, found.validation.accuracies, strict=True):
        right = model.predict(part.images[:], budget=budget).classes == part.labels
        assert float(right.float().mean()) == pytest.approx(accuracy, abs=1e-3), "what is measured is what is predicted"


def test_seeds_give_other_networks_and_the_same_one_again() -> None:
    plan, splits = PLANS["resnet"], datasets.load("digits")
    recipe = Recipe(epochs=1, batch_size=64)
    one, again, other = (trained(plan, splits, recipe, seed).network for seed in (0, 0, 1))
    weights = [next(network.parameters()) for network in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
