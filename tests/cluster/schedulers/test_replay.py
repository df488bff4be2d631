"""Replay of recorded curves: seconds saved, score lost, and the settings that lose nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import ASHAScheduler

from archsearch import spaces
from archsearch.cluster.schedulers.replay import Curve, replay, settings_without_loss
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation

SPACE = spaces.get("nasbench201")
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])


def curves(count: int = 40, noise: float = 0.02) -> list[Curve]:
    rng = np.random.default_rng(3)
    quality = rng.uniform(size=count)
    steps = np.arange(1, 13)
    scores = quality[:, None] - 0.5**steps + rng.normal(0.0, noise, (count, 12)) / steps
    return [Curve(tuple(row), (2.0,) * 12) for row in scores.tolist()]


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "promotion"])
def test_saved_and_lost(name: str) -> None:
    recorded = curves()
    found = replay(recorded, name, max_fidelity=12, workers=4)
    done = [12] * 40
    for number in found.stopped:
        done[number] = max(event.fidelity for event in found.events if event.number == number)
    assert found.full_seconds == 40 * 24.0
    assert found.seconds == 2.0 * sum(done)
    assert found.complete + len(found.stopped) == 40
    assert 0.1 < found.saved < 1.0 and found.saved_seconds == found.full_seconds - found.seconds
    assert found.best == max(curve.scores[-1] for curve in recorded)
    assert found.lost == pytest.approx(0.0) and found.cut_short == 0


def test_what_is_lost_is_the_last_score_of_the_best_less_that_of_the_one_found() -> None:
    late = Curve((0.1, 0.2, 0.9), (1.0, 1.0, 1.0))
    others = [Curve((0.3 + 0.01 * each,) * 3, (1.0, 1.0, 1.0)) for each in range(5)]
    found = replay([*others, late], "asha", {"grace_period": 1}, max_fidelity=3)
    assert 5 in found.stopped
    assert found.lost == pytest.approx(0.9 - 0.34)


def test_candidates_that_failed_or_were_stopped_when_recorded() -> None:
    recorded = [*curves(10), Curve((), ()), Curve((5.0, 6.0), (1.0, 1.0), complete=False)]
    found = replay(recorded, "promotion", {"grace_period": 1}, max_fidelity=12)
    assert found.cut_short == 1
    assert found.full_seconds == 10 * 24.0 + 2.0
    assert found.best == max(curve.scores[-1] for curve in recorded[:10])


def test_fidelities_of_a_table() -> None:
    recorded = [Curve((0.1 * each, 0.2 * each), (4.0, 104.0), fidelities=(4, 108)) for each in range(6)]
    found = replay(recorded, ASHAScheduler(max_t=108, grace_period=4, reduction_factor=3), max_fidelity=108)
    assert found.scheduler == "AsyncHyperBandScheduler"
    assert {event.fidelity for event in found.events} == {4, 108}


def test_settings_without_loss_are_sorted_by_seconds() -> None:
    found = settings_without_loss(curves(20), ["asha", "promotion"], max_fidelity=12, workers=4)
    assert found and all(each.lost <= 0.0 for each in found)
    assert [each.seconds for each in found] == sorted(each.seconds for each in found)
    again = replay(curves(20), found[0].scheduler, found[0].options, max_fidelity=12, workers=4)
    assert again == found[0]
    assert not settings_without_loss(curves(9), ["asha"], max_fidelity=12, workers=4, most_lost=-1.0)


def test_curve_of_an_evaluation() -> None:
    steps = {"step_score": (0.1, 0.2, 0.3), "step_seconds": (1.0, 2.0, 3.0)}
    whole = Evaluation(CELL, SPACE.key(CELL), 0.3, seconds=6.0, curves=steps)
    assert Curve.of(whole) == Curve((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert Curve.of(whole, (4, 12, 36)) == Curve((0.1, 0.2, 0.3), (1.0, 2.0, 3.0), True, (4, 12, 36))
    part = Evaluation(CELL, SPACE.key(CELL), 0.3, curves=steps, fidelity=3)
    assert Curve.of(part) == Curve((0.1, 0.2, 0.3), (1.0, 2.0, 3.0), complete=False)
    broken = Evaluation(CELL, SPACE.key(CELL), float("nan"), error="NaN", curves={**steps, "step_score": (0.1, float("nan"))})
    assert Curve.of(broken) == Curve((0.1,), (1.0,), complete=False)
    assert Curve.of(Evaluation(CELL, SPACE.key(CELL), 0.3)) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "expected the curve of at least one candidate"),
        ([Curve((), ())], "at least one"),
        ([(0.1, 0.2)], "curves: expected a sequence of Curve"),
    ],
)
def test_bad_curves(given: list[Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        replay(given, "asha", max_fidelity=3)


def test_bad_settings() -> None:
    with pytest.raises(ConfigurationError, match="as many scores as seconds"):
        Curve((0.1,), ())
    with pytest.raises(ConfigurationError, match="grace_period: expected at most 12"):
        replay(curves(), "asha", {"grace_period": 13}, max_fidelity=12)
    with pytest.raises(ConfigurationError, match="expected one of asha"):
        settings_without_loss(curves(), ["ash"], max_fidelity=12)
