"""Single trainings of NAS-Bench-201."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from archsearch.evaluators.tables.nasbench201.result import thin, training

_SPEC = importlib.util.spec_from_file_location("nasbench201_made_up", Path(__file__).with_name("made_up.py"))
assert _SPEC is not None and _SPEC.loader is not None
made_up = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made_up)


def test_thinning_leaves_little_and_may_be_repeated() -> None:
    once = made_up.result(0, "cifar100", 777, 200)
    other = {"train_acc1es": {1: 2.0}}
    thin(once)
    thin(other)
    assert other == {"train_acc1es": {1: 2.0}}
    assert sum(len(value) for value in once.values() if isinstance(value, dict)) < 20
    again = {name: dict(value) if isinstance(value, dict) else value for name, value in once.items()}
    thin(again)
    assert again == once


def test_a_training_in_the_units_of_the_benchmark() -> None:
    found = training(made_up.result(1, "cifar100", 777, 200))
    assert found.train_accuracy == made_up.number(1, 2, 777, 200, 199)
    assert found.accuracies == {
        name: made_up.number(1, 2, 777, 200, place, 199) for place, name in enumerate(made_up.SETS["cifar100"])
    }
    assert found.train_seconds == pytest.approx(200 * 11.0)
    assert found.pass_seconds == {"ori-test": 3.0, "x-valid": 4.0, "x-test": 5.0}
    assert (found.latency, found.params) == (0.02, made_up.counted(1, "cifar100")[0])


def test_times_that_a_file_lacks_are_nan() -> None:
    found = training({**made_up.result(1, "cifar100", 777, 200), "train_times": None, "eval_times": {}, "latency": None})
    assert math.isnan(found.train_seconds) and math.isnan(found.latency)
    assert found.pass_seconds == {}


@pytest.mark.parametrize("accuracy", [-0.1, 100.1, math.nan])
def test_invalid_percentages_are_refused(accuracy: float) -> None:
    with pytest.raises(ValueError, match="which is not a percentage"):
        training({**made_up.result(1, "cifar100", 777, 200), "train_acc1es": {199: accuracy}})
