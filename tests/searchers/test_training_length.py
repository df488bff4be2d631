"""The length of a hypernetwork's training: steps, or epochs with the factor that the budget allows."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers.training_length import TrainingLength


def length(usual: dict[str, int], given: dict[str, int] | None = None, **how: Any) -> TrainingLength:
    given = given or {}
    settings = {"scale": None, "candidate_epochs": None, "candidates": 10, **how}
    return TrainingLength.chosen({**usual, **given}, given, **settings)


def test_steps_are_not_scaled() -> None:
    assert length({"steps": 500}).arguments() == {"steps": 500}
    assert length({"steps": 500}).note("default") == ""
    assert length({"epochs": 200}, {"steps": 7}).arguments() == {"steps": 7}, "steps that are given win over the preset's epochs"
    assert length({"steps": 500}, {"epochs": 4}, scale=0.5).arguments() == {"epochs": 2.0}


def test_epochs_are_scaled_to_the_trainings_of_the_candidates() -> None:
    scaled = length({"epochs": 200}, candidate_epochs=5)
    assert scaled.arguments() == {"epochs": 50.0}
    assert scaled.note("paper") == (
        "The hypernetwork is trained for 50 epochs of the images, as many as 10 candidates are trained for together, 5 each, "
        "where the preset paper has 200: training_scale=0.25."
    )
    whole = length({"epochs": 200}, candidate_epochs=600)
    assert whole.arguments() == {"epochs": 200.0}, "never more than published"
    assert whole.note("paper").endswith("200 epochs of the images, as the preset paper says: training_scale=1.")
    assert length({"epochs": 200}, candidates=4).arguments() == {"epochs": 4.0}


def test_a_factor_that_is_given_is_taken() -> None:
    scaled = length({"epochs": 200}, scale=0.001, candidate_epochs=600)
    assert scaled.arguments() == {"epochs": pytest.approx(0.2)}
    assert "0.2 epochs of the images, as given, where the preset paper has 200: training_scale=0.001" in scaled.note("paper")
    assert length({"epochs": 200}, scale=1).note("paper").endswith("training_scale=1.")


@pytest.mark.parametrize(
    ("given", "how", "message"),
    [
        ({"steps": 3, "epochs": 4}, {}, "steps: expected steps or epochs; got steps=3 and epochs=4"),
        ({"steps": 3}, {"scale": 0.5}, "training_scale: a factor on epochs, but the training is given in steps, 3"),
        ({"epochs": 0}, {}, "epochs: expected a whole number"),
        ({}, {"scale": 0.0}, "training_scale: expected a number above 0; got 0.0"),
        ({}, {"scale": float("nan")}, "training_scale: expected a number above 0; got nan"),
        ({}, {"scale": "x"}, "training_scale: expected a number above 0; got 'x'"),
        ({}, {"scale": True}, "training_scale: expected a number above 0; got True"),
        ({}, {"candidate_epochs": 0}, "candidate_epochs: expected a whole number"),
        ({}, {"candidates": 0}, "budget: expected a whole number"),
    ],
)
def test_wrong_lengths_are_refused(given: dict[str, int], how: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        length({"epochs": 200}, given, **how)
