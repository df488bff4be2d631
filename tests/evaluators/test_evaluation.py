"""What counts as a success, and what a searcher may see."""

from __future__ import annotations

import math
import pickle

import pytest

from archsearch.evaluators import Evaluation, is_report_only
from archsearch.spaces.nasbench201 import NASBench201

CELL = NASBench201().from_genotype([3, 0, 1, 0, 0, 1])


@pytest.mark.parametrize(
    ("score", "error", "ok"),
    [
        (0.5, None, True),
        (-3.0, None, True),
        (math.nan, None, False),
        (math.inf, None, False),
        (-math.inf, None, False),
        (0.5, "half of it failed", False),
        (math.nan, "failed", False),
    ],
)
def test_success_is_a_finite_score_without_an_error(score: float, error: str | None, ok: bool) -> None:
    assert Evaluation(CELL, "key", score, error=error).ok is ok


@pytest.mark.parametrize("metric", ["test_accuracy", "test_loss", "cifar10_test", "cifar100_test_e12", "test"])
def test_figures_on_test_data_are_for_reports_only(metric: str) -> None:
    assert is_report_only(metric)


@pytest.mark.parametrize("metric", ["valid_accuracy", "latest_accuracy", "params", "tests_passed", "contest", "cifar10_valid"])
def test_other_figures_are_not(metric: str) -> None:
    assert not is_report_only(metric)


def test_evaluations_survive_pickling() -> None:
    evaluation = Evaluation(CELL, "key", 0.5, {"params": 3.0}, 1.5, None, {"valid_accuracy": (0.1, 0.5)})
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation
