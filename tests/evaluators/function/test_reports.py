"""Reports of a function: what is accepted, the curves, and their state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.function.reports import InvalidReport, Reports


@pytest.mark.parametrize(
    ("step", "score", "metrics", "message"),
    [
        (0, 1.0, {}, r"expected steps from 1 on; got 0. Write report\(epoch \+ 1"),
        (-3, 1.0, {}, "expected steps from 1 on"),
        (2, 1.0, {}, "expected a step above 2, the last one; got 2"),
        (1, 1.0, {}, "expected a step above 2, the last one; got 1"),
        (5, 1.0, {}, "expected steps up to 4, as steps=4 says; got 5"),
        (3.0, 1.0, {}, "expected a whole number as the step; got 3.0"),
        (True, 1.0, {}, "expected a whole number as the step"),
        ("3", 1.0, {}, "expected a whole number as the step; got '3'"),
        (3, None, {}, "expected a finite number as the score of step 3; got None"),
        (3, float("nan"), {}, "expected a finite number as the score of step 3; got nan"),
        (3, float("inf"), {}, "got inf"),
        (3, "0.5", {}, "expected a finite number as the score of step 3; got '0.5'"),
        (3, torch.ones(2), {}, "expected a finite number as the score of step 3; got tensor"),
        (3, 1.0, {"size": "big"}, "expected a number as 'size' of step 3; got 'big'"),
    ],
)
def test_reports_that_cannot_be_used(step: Any, score: Any, metrics: dict[str, Any], message: str) -> None:
    reports = Reports(4)
    reports.take(2, 0.5, {})
    with pytest.raises(InvalidReport, match=message):
        reports.take(step, score, metrics)
    assert (reports.steps, reports.scores) == ([2], [0.5])


def test_numbers_of_other_libraries_are_taken() -> None:
    reports = Reports()
    assert reports.take(np.int64(1), torch.tensor(0.25), {"error": np.float32(0.5), "unknown": float("nan")})
    assert (reports.steps, reports.scores, reports.metrics[0]["error"]) == ([1], [0.25], 0.5)


def filled(steps: list[int]) -> Reports:
    reports = Reports(10)
    for step in steps:
        reports.take(step, step / 10, {"error": 1.0 - step / 10})
        reports.seconds.append(0.5)
    return reports


def test_curves() -> None:
    assert filled([1, 2]).curves(1.0, "score") == {
        "step_score": (0.1, 0.2),
        "step_seconds": (0.5, 0.5),
        "error": (0.9, 0.8),
    }
    curves = filled([2, 5]).curves(-1.0, "loss")
    assert (curves["step_score"], curves["loss"], curves["step"]) == ((-0.2, -0.5), (0.2, 0.5), (2.0, 5.0))


def test_last_step_of_a_function_that_has_returned() -> None:
    reported = filled([9, 10])
    reported.finish(0.9, 2.0)
    assert (reported.scores, reported.seconds) == ([0.9, 1.0], [0.5, 2.5])  # the last step was reported
    shorter = filled([1, 2])
    shorter.finish(0.9, 2.0)
    assert (shorter.steps, shorter.scores, shorter.seconds) == ([1, 2, 3], [0.1, 0.2, 0.9], [0.5, 0.5, 2.0])
    never = Reports()
    never.finish(0.9, 2.0)
    assert (never.steps, never.seconds) == ([1], [2.0])


def test_function_that_is_called_anew_does_not_add_steps_twice() -> None:
    before, after = filled([1, 2]), Reports(10)
    after.load_state(before.state())
    assert (after.fidelity, after.state()) == (2, before.state())
    assert [after.take(step, 0.7, {}) for step in (1, 2, 3)] == [False, False, True]
    assert after.scores == [0.1, 0.2, 0.7]
    with pytest.raises(InvalidReport, match="expected a step above 3"):
        after.take(2, 0.7, {})
    assert before.steps == [1, 2], "states share nothing"


@pytest.mark.parametrize(
    "state", [None, {}, {"steps": 3}, {"steps": [1], "scores": [], "metrics": [], "seconds": []}, {"steps": ["a"]}, []]
)
def test_other_states_are_refused(state: Any) -> None:
    with pytest.raises(ConfigurationError, match="state: expected"):
        Reports().load_state(state)
