"""Reports of trials become outcomes; what they lack is named."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers.trial_report import outcome_of_report


def outcome(report: dict[str, Any], *, count: int = 1, mode: str = "max", objectives: tuple[str, ...] = ()) -> dict[str, Any]:
    return dict(outcome_of_report(report, "a1", count, "accuracy", mode, objectives, steps=3))


def test_one_score_is_the_outcome_of_a_batch_of_one() -> None:
    report = {"accuracy": 0.5, "latency": 7.0, "time_total_s": 2.0}
    expected = {"scores": [0.5], "seconds": [2.0], "metrics": [[7.0]], "fidelities": [3]}
    assert outcome(report, objectives=("latency",)) == expected


def test_scores_of_a_batch_stay_as_they_are() -> None:
    assert outcome({"scores": [0.5, None]}, count=2) == {"scores": [0.5, None]}


def test_smaller_scores_are_negated() -> None:
    assert outcome({"accuracy": 0.5}, mode="min")["scores"] == [-0.5]
    assert outcome({"scores": [0.5, None, "x"]}, count=3, mode="min") == {"scores": [-0.5, None, "x"]}


@pytest.mark.parametrize(
    ("report", "count", "objectives", "message"),
    [
        ({"loss": 1.0, "pid": 7, "config/lr": 0.1}, 1, (), "accuracy: trial a1 did not report it, .*; it reported loss. Call"),
        ({"done": True}, 1, (), "accuracy: .* it reported nothing"),
        ({"accuracy": 1.0}, 1, ("latency",), r'latency: .*Call tune.report\({"accuracy": ..., "latency": ...}\)'),
        ({"accuracy": 1.0}, 2, (), "scores: trial a1 reported none for its 2 candidates"),
    ],
)
def test_what_is_lacking_is_named(report: dict[str, Any], count: int, objectives: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        outcome(report, count=count, objectives=objectives)
