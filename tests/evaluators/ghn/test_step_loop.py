from __future__ import annotations

import math

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ghn import step_loop
from archsearch.evaluators.ghn.step_loop import Pace, Progress, run_steps


def test_steps_are_taken_by_their_numbers_and_the_end_is_saved() -> None:
    taken: list[int] = []
    saved: list[int] = []

    def take(number: int) -> float:
        taken.append(number)
        return 1.0

    run_steps(2, 5, take, Pace(save=lambda: saved.append(len(taken))))
    assert taken == [2, 3, 4]
    assert saved == [3]


def test_an_interruption_saves_before_it_is_raised_again() -> None:
    saved: list[str] = []

    def take(number: int) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps(0, 5, take, Pace(save=lambda: saved.append("saved")))
    assert saved == ["saved"]


def test_too_many_failed_steps_in_a_row_end_the_training() -> None:
    losses = iter([math.nan, 1.0, math.nan, math.inf, 1.0])
    run_steps(0, 5, lambda number: next(losses), Pace(max_skips=2))
    with pytest.raises(ConfigurationError, match="learning_rate: .* not finite in 3 steps in a row, up to step 3. Lower it"):
        run_steps(0, 5, lambda number: math.nan, Pace(max_skips=2))


def test_progress_is_reported_at_the_end_of_a_long_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_loop, "_SHOW_EVERY", -1.0)
    seen: list[Progress] = []
    run_steps(0, 3, lambda number: 2.0, Pace(report=seen.append))
    assert [each.done for each in seen] == [1, 2, 3]
    assert str(seen[-1]) == "step 3 of 3, loss 2.000, 0 s left"
