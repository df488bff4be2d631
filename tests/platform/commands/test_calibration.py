"""What an evaluation costs: where the true cost is known, it is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from archsearch import spaces
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.evaluators.training.recipe import Recipe
from archsearch.platform.commands import calibration
from archsearch.platform.commands.calibration import calibrate
from archsearch.spaces import Architecture


class Clock:
    """Goes on when it is told to, so that no busy machine changes what is measured."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()
SECONDS = 0.001


@pytest.fixture(autouse=True)
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "time", SimpleNamespace(perf_counter=CLOCK.perf_counter))


class Reckoned(Evaluator):
    """Says that a candidate takes 3 seconds, and 0.5 more for each epoch, in a thousandth; notes what it was asked for."""

    def __init__(self, epochs: int | None = None, broken: bool = False) -> None:
        super().__init__(spaces.get("nasbench201"))
        self.asked: list[str] = []
        self.broken = broken
        if epochs is not None:
            self.recipe = Recipe(epochs=epochs)

    @property
    def task(self) -> str:
        return "reckoned"

    def settings(self) -> Mapping[str, Any]:
        return {"reckoned": True}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        self.asked += map(str, architectures)
        CLOCK.now += SECONDS * len(architectures)
        if self.broken:
            return [self.failed(architecture, "out of luck") for architecture in architectures]
        seconds = 3.0 + 0.5 * self.recipe.epochs if hasattr(self, "recipe") else 0.0
        return [Evaluation(each, self.space.key(each), 0.5, {}, seconds) for each in architectures]


@pytest.mark.parametrize("epochs", [2, 7, 600])
def test_a_training_is_reckoned_from_shorter_ones(epochs: int) -> None:
    measured = calibrate(Reckoned(epochs), seconds=0.05)
    assert measured.seconds == pytest.approx(3.0 + 0.5 * epochs)
    assert measured.rate == pytest.approx(1 / measured.seconds)
    assert measured.errors == []


def test_how_far_a_training_was_shortened_is_told() -> None:
    measured = calibrate(Reckoned(40), seconds=0.05)  # an epoch of 3.5 s leaves room for the least: two
    assert measured.epochs == (2, 40)
    assert calibrate(Reckoned(2), seconds=0.05).epochs is None


def test_a_training_of_one_epoch_is_measured_whole() -> None:
    measured = calibrate(Reckoned(1), seconds=0.02)
    assert measured.epochs is None
    assert {evaluation.seconds for evaluation in measured.evaluations} == {3.5}


def test_fast_candidates_are_measured_in_numbers() -> None:
    evaluator = Reckoned()
    measured = calibrate(evaluator, seconds=0.2)
    assert len(measured.evaluations) == len(evaluator.asked) > 100
    assert measured.seconds == pytest.approx(SECONDS)
    assert "candidates per second on one worker" in measured.pace()


def test_candidates_of_middling_size_come_first_and_a_seed_repeats_them() -> None:
    first, again, other = Reckoned(), Reckoned(), Reckoned()
    for evaluator, seed in ((first, 0), (again, 0), (other, 1)):
        calibrate(evaluator, seconds=0.2, seed=seed)
    assert first.asked == again.asked != other.asked
    space = first.space
    macs = [space.cost(space.parse(text)).macs for text in first.asked[:63]]
    ordered = sorted(macs)
    assert ordered[20] <= macs[0] <= ordered[42]  # the median of all that were drawn
    assert macs[1] <= macs[0] <= macs[2]  # the quartiles


def test_candidates_that_fail_are_told() -> None:
    measured = calibrate(Reckoned(broken=True), seconds=0.01)
    assert measured.errors == ["out of luck"]
