"""Costs of random architectures, and the share that keeps the constraints."""

from __future__ import annotations

import numpy as np

from archsearch import spaces
from archsearch.evaluators import TabularEvaluator, TrainingEvaluator
from archsearch.platform.space_costs import space_costs
from archsearch.searchers import Goals, goals_for

SPACE = spaces.get("nasbench201")


def test_the_ranges_are_those_of_random_architectures() -> None:
    evaluator = TrainingEvaluator(SPACE, "digits")
    found = space_costs(SPACE, goals_for(evaluator), seed=0, draws=100)
    assert found is not None and set(found.ranges) == {"params", "macs"}
    rng = np.random.default_rng(0)
    params = [evaluator.costs(SPACE.sample(rng))["params"] for _ in range(100)]
    assert found.ranges["params"] == (min(params), float(np.median(params)), max(params))
    assert (found.share, found.constraints, found.is_tight, found.share_text()) == (1.0, (), False, "")
    assert "from 100 random architectures" in found.ranges_text() and found.rows[1][0] in ("params", "macs")


def test_a_tight_constraint_is_called_tight_and_says_what_is_lost() -> None:
    goals = goals_for(TrainingEvaluator(SPACE, "digits"))
    everything = space_costs(SPACE, goals, seed=0, draws=300)
    assert everything is not None
    low = everything.ranges["params"][0]
    bound = goals_for(TrainingEvaluator(SPACE, "digits"), constraints={"params": f"<= {low + 1}"})
    found = space_costs(SPACE, bound, seed=0, draws=300)
    assert found is not None and 0.0 < found.share < 0.1 and found.is_tight
    assert "nor_conv_3x3" in found.absent and "none of these has nor_conv" in found.share_text()


def test_a_constraint_that_nothing_keeps() -> None:
    goals = goals_for(TrainingEvaluator(SPACE, "digits"), constraints={"params": "<= 1"})
    found = space_costs(SPACE, goals, seed=0, draws=50)
    assert found is not None and found.share == 0.0 and found.share_text().startswith("less than 2.0 % of the space keep")


def test_without_costs_there_is_nothing_to_say() -> None:
    assert space_costs(SPACE, Goals(), seed=0) is None
    table = goals_for(TabularEvaluator.embedded("digits201"))
    assert space_costs(SPACE, table, seed=0, draws=10) is not None
