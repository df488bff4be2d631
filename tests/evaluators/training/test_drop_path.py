"""Inputs of sums that are left out in training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archsearch.evaluators.training.drop_path import DropRate, with_drop_path
from archsearch.spaces.operators import AveragePool, Identity, MaxPool, ReLU, Sum
from archsearch.spaces.plan import Plan, PlanBuilder


def three_terms(skip: bool) -> Plan:
    """Return a plan that adds three images to themselves, one over a skip connection if asked for."""
    build = PlanBuilder(2)
    terms = [build.add("a", MaxPool(1), build.input), build.add("b", AveragePool(1), build.input)]
    terms.append(build.add("c", Identity() if skip else ReLU(), build.input))
    return build.finish(build.add("sum", Sum(), *terms, build.input))


def apply(plan: Plan, drop: DropRate, images: Tensor, training: bool = True) -> Tensor:
    changed = with_drop_path(plan, drop)
    return changed.apply(images, dict.fromkeys(changed.operators, ()), None, training)[0]


@pytest.mark.parametrize("skip", [False, True])
def test_inputs_are_left_out_as_often_as_the_rate_says(skip: bool) -> None:
    rate, images = 0.25, torch.ones(4000, 2, 3, 3)
    drop = DropRate([torch.Generator().manual_seed(0)], rate)
    result = apply(three_terms(skip), drop, images)
    assert torch.equal(result, result[:, :1, :1, :1].expand_as(result)), "an image loses an input as a whole"
    always, droppable = (2, 2) if skip else (1, 3)  # the images themselves, and skip connections, always stay
    kept = ((result[:, 0, 0, 0] - always) * (1 - rate)).round(decimals=4)
    assert set(kept.tolist()) == set(map(float, range(droppable + 1)))
    # Five standard deviations of a mean of 4000 draws.
    assert abs(float(kept.mean()) / droppable - (1 - rate)) < 5 * (rate * (1 - rate) / 4000 / droppable) ** 0.5


def test_nothing_is_left_out_at_inference_or_at_rate_zero() -> None:
    images = torch.rand(5, 2, 3, 3)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    for rate, training in ((0.9, False), (0.0, True)):
        torch.testing.assert_close(apply(three_terms(False), DropRate([generator], rate), images, training), 4 * images)
    assert torch.equal(generator.get_state(), state)


def test_replicas_lose_what_they_would_lose_alone() -> None:
    images = torch.rand(50, 2, 3, 3)
    seeds = (3, 4)
    together = DropRate([torch.Generator().manual_seed(seed) for seed in seeds], 0.5)
    both = apply(three_terms(False), together, torch.cat([images, images], 1))
    alone = [apply(three_terms(False), DropRate([torch.Generator().manual_seed(seed)], 0.5), images) for seed in seeds]
    torch.testing.assert_close(both, torch.cat(alone, 1))
    assert not torch.equal(*alone)
