"""The area under the anytime curve as the score of evaluators, against accuracy, on the real digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN, Evaluation, Evaluator, OneShot, SGDSteps, TrainingEvaluator
from archsearch.evaluators.baselines import msdnet_plan
from archsearch.evaluators.metrics import anytime_auc
from archsearch.evaluators.score_objective import ScoreObjective, default_max_budget
from archsearch.evaluators.training.scoring import exit_scores, score
from archsearch.searchers.goals import goals_for
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.nasbench201 import NASBench201

SPACE = Anytime((3, 2), exit_probability=0.0)
CELLS = SPACE.parse(
    '[[["conv_3x3",[0],2,"exit"],["conv_1x1",[0,1],1],["max_pool_3x3",[2],2,"exit"]],[["conv_3x3",[0],1],["conv_1x1",[1],1]]]'
)
FORM: dict[str, Any] = {"input_shape": (1, 8, 8), "num_classes": 10, "channels": 4}


def training(**settings: Any) -> Evaluator:
    return TrainingEvaluator(SPACE, "digits", epochs=2, scale={"channels": 4}, **settings)


def few_steps(**settings: Any) -> Evaluator:
    return SGDSteps(SPACE, "digits", steps=20, scale={"channels": 4}, **settings)


def one_shot(**settings: Any) -> Evaluator:
    return OneShot(SPACE, "digits", scale={"channels": 4}, **settings).fit(10, report=lambda progress: None)


def ghn(**settings: Any) -> Evaluator:
    return GHN(SPACE, "digits", scale={"channels": 4}, **settings).fit(5, report=lambda progress: None)


EVALUATORS = pytest.mark.parametrize("make", [training, few_steps, one_shot, ghn])


def evaluated(evaluator: Evaluator) -> Evaluation:
    [evaluation] = evaluator.evaluate([CELLS])
    assert evaluation.error is None
    return evaluation


@EVALUATORS
def test_the_score_is_the_area_under_the_exits(make: Callable[..., Evaluator]) -> None:
    evaluator = make(objective="anytime", max_budget=50e3)
    found = evaluated(evaluator)
    macs, accuracies = found.curves["exit_macs"], found.curves["exit_accuracy"]
    assert macs == SPACE.exit_macs(CELLS, **FORM)
    assert len(accuracies) == 3
    assert accuracies[-1] == found.metrics["valid_accuracy"]
    assert found.score == found.metrics["anytime_auc"] == pytest.approx(anytime_auc(macs, accuracies, 50e3, 0.1))
    assert evaluator.score_name == "anytime_auc"
    assert evaluator.score_is_fraction


@EVALUATORS
def test_nothing_but_the_score_changes(make: Callable[..., Evaluator]) -> None:
    accuracy, anytime = evaluated(make()), evaluated(make(objective="anytime"))
    assert accuracy.score == accuracy.metrics["valid_accuracy"] == anytime.metrics["valid_accuracy"]
    of_steps = {"step_score", "step_seconds"}  # the score, and times
    plain, area = ({name: row.curves[name] for name in row.curves.keys() - of_steps} for row in (accuracy, anytime))
    assert plain == area
    assert "anytime_auc" not in accuracy.metrics


@EVALUATORS
def test_fingerprints_hold_the_end_of_the_area_and_nothing_new_for_accuracy(make: Callable[..., Evaluator]) -> None:
    assert "objective" not in make().settings()
    default = default_max_budget((1, 8, 8), 10, {"channels": 4})
    anytime = make(objective="anytime")
    assert anytime.settings()["objective"] == {"name": "anytime", "max_budget": default}
    assert make(objective="anytime", max_budget=default).fingerprint() == anytime.fingerprint()
    prints = [make().fingerprint(), anytime.fingerprint(), make(objective="anytime", max_budget=50e3).fingerprint()]
    assert len(set(prints)) == 3


@EVALUATORS
def test_a_network_that_gives_no_answer_in_time_fails(make: Callable[..., Evaluator]) -> None:
    [failed] = make(objective="anytime", max_budget=2000).evaluate([CELLS])
    first = 64 * 9 * 4 + 16 * 9 * 4 * 4 + 10 * (4 + 1)  # stem, 3x3 convolution at half the size, classifier
    assert failed.error == f"the first exit costs {first:,} MACs, beyond max_budget, 2,000; give a larger one."
    assert failed.seconds >= 0.0


def test_test_images_have_an_area_too_that_no_searcher_sees() -> None:
    found = evaluated(training(objective="anytime", max_budget=50e3, report_test=True))
    area = anytime_auc(found.curves["exit_macs"], found.curves["test_exit_accuracy"], 50e3, 0.1)
    assert found.metrics["test_anytime_auc"] == pytest.approx(area)
    assert found.curves["test_exit_accuracy"][-1] == found.metrics["test_accuracy"]
    with pytest.raises(ConfigurationError, match="'test_anytime_auc' is measured on test data"):
        goals_for(training(objective="anytime"), ["score", "test_anytime_auc"])


def test_a_network_with_one_exit_has_an_area() -> None:
    space = NASBench201()
    cell = space.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
    scale = {"channels": 2, "cells_per_stage": 1}
    evaluator = TrainingEvaluator(space, "digits", epochs=1, scale=scale, repeats=2, objective="anytime", max_budget=100e3)
    [found] = evaluator.evaluate([cell])
    [macs] = found.curves["exit_macs"]
    assert macs == found.metrics["macs"], "of one copy"
    assert found.score == pytest.approx((macs * 0.1 + (100e3 - macs) * found.metrics["valid_accuracy"]) / 100e3)


def test_the_area_ends_where_the_published_network_of_the_same_width_does() -> None:
    for channels in (4, 16):
        plan = msdnet_plan(10, 3, channels=channels)
        expected = exit_costs(plan, (3, 32, 32))[-1].macs
        assert default_max_budget((3, 32, 32), 10, {"channels": channels}) == expected
    assert default_max_budget((3, 32, 32), 10, {}) == expected
    space = spaces.get("anytime")
    rng = np.random.default_rng(0)
    dearest = [space.exit_macs(space.sample(rng))[-1] for _ in range(10)]  # type: ignore[attr-defined]
    assert 0.5 < np.median(dearest) / expected < 1.5, "most of the area is about networks of this size"


def test_a_search_names_the_area_as_it_names_accuracy() -> None:
    evaluator = training(objective="anytime")
    for name in ("score", "anytime", "anytime_auc"):
        assert goals_for(evaluator, [name]).single
    goals = goals_for(evaluator, ["anytime", "-macs", "accuracy"])
    assert [str(each) for each in goals.objectives] == ["score", "-macs", "valid_accuracy"]
    assert goals_for(training(), ["accuracy"]).single
    with pytest.raises(ConfigurationError, match="anytime"):
        goals_for(training(), ["anytime"])


def test_scores_of_exits_are_those_of_each_alone() -> None:
    class TwoExits(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            flat = images.flatten(1)
            return [flat, -flat]

    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(7, 3, 1, 1, generator=generator), torch.randint(3, (7,), generator=generator)
    first, last = exit_scores(TwoExits(), images, labels, batch_size=3)
    for found, logits in ((first, images.flatten(1)), (last, -images.flatten(1))):
        assert float(found.accuracy) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
        assert float(found.loss) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)))
    assert torch.equal(score(TwoExits(), images, labels, batch_size=3).loss, last.loss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"name": "anytme"},
            r"objective: expected one of accuracy, anytime, balanced_accuracy; got 'anytme'. Did you mean 'anytime'\?",
        ),
        ({"name": "anytime", "max_budget": 0}, "max_budget: expected MACs above 0, such as 50e6; got 0"),
        ({"name": "anytime", "max_budget": float("inf")}, "max_budget: expected MACs above 0"),
        ({"name": "anytime", "max_budget": "much"}, "max_budget: expected MACs above 0"),
        ({"max_budget": 1e6}, "max_budget: only objective='anytime' has one; got 1000000.0"),
    ],
)
def test_wrong_objectives_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ScoreObjective(**settings)
