from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TabularEvaluator, TrainingEvaluator
from archsearch.evaluators.evaluation import Evaluation
from archsearch.searchers.goals import Constraint, Goals, Objective, goals_for


@pytest.fixture(scope="module")
def table() -> TabularEvaluator:
    return TabularEvaluator.embedded("digits201")


def _evaluation(table: TabularEvaluator, score: float = 0.5, **metrics: float) -> Evaluation:
    architecture = table.space.sample(np.random.default_rng(0))
    return Evaluation(architecture, table.space.key(architecture), score, metrics)


@pytest.mark.parametrize(
    ("relation", "kept", "missed"),
    [("<=", [9.0, 10.0], [11.0]), ("<", [9.0], [10.0, 11.0]), (">=", [10.0, 11.0], [9.0]), (">", [11.0], [10.0, 9.0])],
)
def test_constraints_hold_up_to_their_bound(relation: str, kept: list[float], missed: list[float]) -> None:
    constraint = Constraint("macs", relation, 10.0)
    assert [constraint.excess(value) for value in kept] == [0.0] * len(kept)
    assert all(constraint.excess(value) > 0.0 for value in missed)


def test_excess_is_the_share_of_the_bound() -> None:
    assert Constraint("macs", "<=", 10.0).excess(15.0) == pytest.approx(0.5)
    assert Constraint("macs", ">=", 10.0).excess(5.0) == pytest.approx(0.5)
    assert Constraint("macs", "<=", 10.0).excess(math.nan) == math.inf


def test_goals_from_texts(table: TabularEvaluator) -> None:
    goals = goals_for(table, ["valid_accuracy", "-macs"], {"params": ">= 1e4, <= 2e4"})
    assert goals.objectives == (Objective("score"), Objective("macs", False))
    assert goals.constraints == (Constraint("params", ">=", 1e4), Constraint("params", "<=", 2e4))
    assert goals.metrics == ()
    assert not goals.single
    assert goals_for(table, ["accuracy"]).single


def test_costs_are_those_of_the_networks_that_are_scored(table: TabularEvaluator) -> None:
    evaluation = _evaluation(table)
    macs = table.costs(evaluation.architecture)["macs"]
    goals = goals_for(table, ["score", "-macs"], {"macs": f"<= {macs}"})
    assert goals.excess(evaluation.architecture) == 0.0
    assert goals.values(evaluation) == (0.5, -macs)
    tighter = goals_for(table, ["score"], {"macs": f"< {macs}"})
    assert tighter.excess(evaluation.architecture) > 0.0


def test_metrics_of_an_evaluation_can_be_objectives() -> None:
    space = spaces.get("nasbench201")
    goals = goals_for(TrainingEvaluator(space, "digits"), ["accuracy", "-valid_loss"])
    assert goals.metrics == ("valid_loss",)
    architecture = space.sample(np.random.default_rng(0))
    assert goals.values(Evaluation(architecture, "key", 0.9, {"valid_loss": 0.3})) == (0.9, -0.3)
    assert math.isnan(goals.values(Evaluation(architecture, "key", 0.9, {}))[1])


@pytest.mark.parametrize(
    ("objectives", "constraints", "message"),
    [
        (["accuracy", "-mac"], {}, "objectives: figure: expected one of .*macs.*; got 'mac'. Did you mean 'macs'?"),
        (["accuracy", "-test_accuracy"], {}, "objectives: 'test_accuracy' is measured on test data"),
        (["-macs"], {}, r"objectives: expected the score among them; got \['-macs'\]. Add 'accuracy'"),
        (["-accuracy"], {}, "objectives: the score is to be raised"),
        (["accuracy", "score"], {}, "objectives: expected each figure once"),
        ([], {}, "objectives: expected a list such as"),
        ("accuracy", {}, "objectives: expected a list such as"),
        ([1], {}, "objectives: expected names"),
        (["score"], {"mac": "<= 1"}, "constraints: cost: expected one of .*; got 'mac'. Did you mean 'macs'?"),
        (["score"], {"valid_accuracy": ">= 0.5"}, "Only what is known before an evaluation can be constrained"),
        (["score"], {"macs": "100e6"}, r"constraints\['macs'\]: expected limits such as '<= 100e6'"),
        (["score"], {"macs": "<= many"}, r"constraints\['macs'\]: expected limits such as"),
        (["score"], {"macs": "<= nan"}, r"constraints\['macs'\]: expected limits such as"),
        (["score"], {"macs": "== 3"}, r"constraints\['macs'\]: expected limits such as"),
    ],
)
def test_bad_goals_are_refused(table: TabularEvaluator, objectives: list[str], constraints: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        goals_for(table, objectives, constraints)


def test_unsatisfiable_constraints_are_reported_after_a_bounded_number_of_draws(table: TabularEvaluator) -> None:
    draws = 0

    def costs(architecture: object) -> dict[str, float]:
        nonlocal draws
        draws += 1
        return {"macs": 100.0 + len(str(architecture)) % 7}

    goals = replace(goals_for(table, ["score"], {"macs": "<= 50"}), costs=costs)
    with pytest.raises(
        ConfigurationError, match="none of 500 random architectures of nasbench201 keeps macs <= 50.* macs = 100 "
    ):
        goals.require_feasible(table.space, np.random.default_rng(0), draws=500)
    assert draws <= 501


def test_without_constraints_nothing_is_drawn() -> None:
    class Untouchable:
        pass

    Goals().require_feasible(Untouchable(), np.random.default_rng(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("acc", "accuracy"),
        ("-flops", "macs"),
        ("top1", "accuracy"),
        ("-parameters", "params"),
        ("val_acc", "accuracy"),
        ("-MAC", "macs"),
    ],
)
def test_usual_short_names_suggest_what_they_mean(table: TabularEvaluator, text: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"objectives: figure: expected one of .* Did you mean '{meant}'\?"):
        goals_for(table, [text])


def test_balanced_accuracy_is_the_score_of_trainings_that_have_it(table: TabularEvaluator) -> None:
    evaluator = TrainingEvaluator(spaces.get("nasbench201"), "digits", objective="balanced_accuracy")
    goals = goals_for(evaluator, ["balanced_accuracy", "-macs", "accuracy"])
    assert goals.objectives == (Objective("score"), Objective("macs", False), Objective("valid_accuracy"))
    with pytest.raises(ConfigurationError, match="'balanced_accuracy' is a score of trainings alone"):
        goals_for(table, ["balanced_accuracy"])


def test_the_order_of_evaluations_begins_with_their_steps() -> None:
    architecture, scores = spaces.get("nasbench201").sample(np.random.default_rng(0)), {0.9: 3, 0.1: None, 0.5: 12, 0.95: 3}
    found = [Evaluation(architecture, "key", score, fidelity=steps) for score, steps in scores.items()]
    assert [each.score for each in sorted(found, key=Goals().order)] == [0.9, 0.95, 0.5, 0.1]
    goals = Goals((Objective("score"), Objective("macs", False)), costs=lambda _: {"macs": 2.0}, cost_names=("macs",))
    assert goals.order(found[0]) == (3.0, 0.9, -2.0)
    assert goals.measured == (True, False)


def test_the_score_of_numbers_has_its_own_name_and_an_error_is_lowered(pairs: Any) -> None:
    space, numbers = spaces.get("nasbench201"), pairs.pair_splits("regression", 60, 20)
    for objective, texts in (("mae", ["mae", "-mae", "valid_mae", "-score"]), ("r2", ["r2", "score", "valid_r2"])):
        evaluator = TrainingEvaluator(space, numbers, objective=objective)
        assert all(goals_for(evaluator, [text]).single for text in texts)
    both = goals_for(evaluator, ["r2", "-valid_mae", "-macs"])
    assert [str(each) for each in both.objectives] == ["score", "-valid_mae", "-macs"]
    for text, message in (
        ("-r2", "the score is to be raised"),
        ("accuracy", "expected one of .*r2"),
        ("r_squared", "Did you mean 'r2'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            goals_for(evaluator, [text])
