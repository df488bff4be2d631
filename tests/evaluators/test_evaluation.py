"""What counts as a success, and what a searcher may see."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

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


# What comes from evaluators


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *[(1, 1.0), (Decimal("0.25"), 0.25), (Fraction(1, 4), 0.25), (np.float32(0.25), 0.25), (np.int64(3), 3.0)],
        *[(np.array(0.25), 0.25), (np.array([0.25]), 0.25), (np.float16(0.25), 0.25), (np.array([[7]], np.uint8), 7.0)],
        *[(torch.tensor(0.25), 0.25), (torch.tensor([0.25], requires_grad=True), 0.25), (torch.tensor(3), 3.0)],
        (torch.tensor(0.25, dtype=torch.bfloat16), 0.25),
    ],
)
def test_numbers_of_other_libraries_become_floats(given: Any, expected: float) -> None:
    evaluation = Evaluation(CELL, "key", given, {"size": given}, given, None, {"curve": (given, 1)})
    assert evaluation == Evaluation(CELL, "key", expected, {"size": expected}, expected, None, {"curve": (expected, 1.0)})
    assert evaluation.ok
    kinds = {
        type(evaluation.score),
        type(evaluation.metrics["size"]),
        type(evaluation.seconds),
        type(evaluation.curves["curve"][0]),
    }
    assert kinds == {float}


NO_NUMBERS = [
    *[None, "0.93", "nan", b"1", True, np.bool_(True), torch.tensor(True), [0.5], (0.5,), {}, {"acc": {"top1": 0.5}}, 1j],
    *[np.array([0.1, 0.2]), np.array([]), np.array("x"), np.datetime64("2025-01-01", "ns"), np.complex64(1), np.ma.masked],
    *[torch.zeros(2), torch.tensor(1j), object(), Decimal("sNaN"), 10**400, len, float],
]


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_score_that_is_no_number_makes_a_failure_that_says_so(given: Any) -> None:
    evaluation = Evaluation(CELL, "key", given, {"size": 2.0}, 1.5)
    assert not evaluation.ok
    assert str(evaluation.error).startswith("score: expected a number, or an array or tensor of one; got ")
    assert math.isnan(evaluation.score)
    assert (evaluation.metrics, evaluation.seconds) == ({"size": 2.0}, 1.5)


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_metric_that_is_no_number_makes_a_failure_that_names_it(given: Any) -> None:
    evaluation = Evaluation(CELL, "key", 0.9, {"size": 2, "latency": given})
    assert not evaluation.ok
    assert str(evaluation.error).startswith("metric 'latency': expected a number, or an array or tensor of one; got ")
    assert math.isnan(evaluation.score)
    assert evaluation.metrics == {"size": 2.0}


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, np.float32("nan"), torch.tensor(math.inf), Decimal("Infinity")])
def test_score_that_is_not_finite_says_so(score: Any) -> None:
    assert Evaluation(CELL, "key", score).error == f"score: expected a finite number; got {float(score)}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": None}, "metrics: expected numbers by name; got None"),
        ({"metrics": [1.0]}, r"metrics: expected numbers by name; got \[1.0\]"),
        ({"metrics": {1: 1.0}}, "metrics: expected names that are strings; got 1"),
        ({"metrics": {"\ud800": 1.0}}, "metrics: expected names that are strings"),
        ({"seconds": None}, "seconds: expected a number of at least 0; got None"),
        ({"seconds": -1.0}, "seconds: expected a number of at least 0; got -1.0"),
        ({"curves": [0.5]}, "curves: expected sequences of numbers by name"),
        ({"curves": {"loss": 0.5}}, "curve 'loss': expected a sequence of numbers; got 0.5"),
        ({"curves": {"loss": "0.5"}}, "curve 'loss': expected a sequence of numbers; got '0.5'"),
        ({"curves": {"loss": [0.5, None]}}, "curve 'loss': expected a sequence of numbers"),
    ],
)
def test_other_parts_of_the_wrong_kind_are_named(changes: dict[str, Any], message: str) -> None:
    evaluation = Evaluation(CELL, "key", 0.9, **changes)
    assert not evaluation.ok
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(evaluation.error)


def test_curves_of_arrays_and_tensors_become_tuples() -> None:
    evaluation = Evaluation(CELL, "key", 0.9, curves={"a": np.array([0.5, 1]), "b": torch.tensor([2.0])})  # type: ignore[dict-item]
    assert evaluation.curves == {"a": (0.5, 1.0), "b": (2.0,)}


def test_an_error_keeps_its_words_and_an_exception_becomes_words() -> None:
    assert Evaluation(CELL, "key", math.nan, error="out of memory").error == "out of memory"
    assert Evaluation(CELL, "key", None, error=ValueError("diverged")).error == "diverged"  # type: ignore[arg-type]
    assert Evaluation(CELL, "key", 0.5, error="half a surrogate \ud800").error == "half a surrogate ?"


def test_a_mapping_that_is_used_again_does_not_change_earlier_evaluations() -> None:
    metrics = {"size": 1.0}
    evaluation = Evaluation(CELL, "key", 0.5, metrics)
    metrics["size"] = 2.0
    assert evaluation.metrics == {"size": 1.0}


@pytest.mark.parametrize("given", [0, -1, 1.5, "12", True])
def test_fidelity_that_is_no_number_of_steps_makes_a_failure_that_says_so(given: Any) -> None:
    evaluation = Evaluation(CELL, "key", 0.5, fidelity=given)
    assert not evaluation.ok
    assert "fidelity: expected a whole number of steps" in str(evaluation.error)
