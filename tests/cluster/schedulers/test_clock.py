"""The simulated clock: asynchronous workers, pauses, limits and errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from archsearch.cluster.schedulers.clock import ClockEvent, Step, run_clock
from archsearch.cluster.schedulers.promotion import Promotion
from archsearch.cluster.schedulers.registry import get, names
from archsearch.errors import ConfigurationError, RunError


class Given:
    """Candidates with the same number of steps; `waits` says after how many ends the next one comes."""

    def __init__(self, scores: list[list[float]], seconds: list[float], waits: dict[int, int] | None = None) -> None:
        self.scores, self.seconds, self.waits = scores, seconds, waits or {}
        self.events: list[ClockEvent] = []
        self.done = [0] * len(scores)
        self.started = 0

    @property
    def finished(self) -> bool:
        return self.started == len(self.scores)

    def start(self, number: int) -> bool:
        assert number == self.started
        ended = sum(event.action in ("COMPLETE", "STOP", "FAIL") for event in self.events)
        if self.finished or ended < self.waits.get(number, 0):
            return False
        self.started += 1
        return True

    def step(self, number: int) -> Step:
        self.done[number] += 1
        score = self.scores[number][self.done[number] - 1]
        last = self.done[number] == len(self.scores[number])
        return Step(self.done[number], score, self.seconds[number], last and math.isfinite(score), not math.isfinite(score))

    def told(self, event: ClockEvent) -> None:
        self.events.append(event)

    def course(self) -> list[tuple[float, int, int, str]]:
        return [(event.second, event.number, event.fidelity, event.action) for event in self.events]


def test_workers_take_the_next_candidate_as_soon_as_they_are_free() -> None:
    given = Given([[0.1, 0.2]] * 5, [1.0, 2.0, 4.0, 1.0, 0.5])
    assert run_clock(given, None, workers=2) == 10.0
    assert given.course() == [
        (2.0, 0, 2, "COMPLETE"),
        (4.0, 1, 2, "COMPLETE"),
        (6.0, 3, 2, "COMPLETE"),  # it began at 4, on the worker that was free
        (7.0, 4, 2, "COMPLETE"),
        (10.0, 2, 2, "COMPLETE"),
    ]


def test_events_of_one_second_come_in_the_order_in_which_their_steps_began() -> None:
    given = Given([[0.1]] * 6, [1.0] * 6)
    run_clock(given, None, workers=3)
    assert [event.number for event in given.events] == list(range(6))
    assert [event.second for event in given.events] == [1.0] * 3 + [2.0] * 3


def test_a_candidate_that_fails_costs_its_seconds_and_leaves_its_worker() -> None:
    given = Given([[0.1, math.nan], [0.3, 0.4]], [1.0, 5.0])
    run_clock(given, get("asha", {"grace_period": 1}, max_fidelity=2), workers=1)
    assert given.course() == [(1.0, 0, 1, "CONTINUE"), (2.0, 0, 2, "FAIL"), (7.0, 1, 1, "CONTINUE"), (12.0, 1, 2, "COMPLETE")]
    assert math.isnan(given.events[1].score) and given.events[1].seconds == 2.0


def test_promotion_pauses_and_resumes() -> None:
    given = Given([[0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.2, 0.3, 0.4]], [1.0] * 3)
    run_clock(given, Promotion(3), workers=1)
    assert given.course() == [
        (1.0, 0, 1, "PAUSE"),
        (2.0, 1, 1, "PAUSE"),
        (3.0, 2, 1, "PAUSE"),
        (3.0, 1, 1, "RESUME"),
        (5.0, 1, 3, "COMPLETE"),  # nothing is decided between rung 1 and the end
        (5.0, 0, 1, "STOP"),
        (5.0, 2, 1, "STOP"),
    ]
    assert given.done == [1, 3, 1]
    assert [event.seconds for event in given.events] == [1.0, 1.0, 1.0, 1.0, 3.0, 1.0, 1.0]


def test_a_limit_stops_what_is_in_hand_and_charges_what_was_spent() -> None:
    given = Given([[0.1, 0.2, 0.3]] * 3, [1.0, 4.0, 1.0])
    last = run_clock(given, get("asha", {"grace_period": 1, "reduction_factor": 2}, max_fidelity=3), workers=2, seconds=7.0)
    assert last == given.course()[-2][0] <= 7.0
    assert given.events[-1].reason == "the time is up" and given.events[-1].second == 7.0
    assert sum(event.seconds for event in given.events if event.action in ("COMPLETE", "STOP")) <= 14.0
    run_clock(late := Given([[0.1]], [9.0]), None, workers=1, seconds=7.0)
    assert late.events == []  # it has no score


def test_enough_ends_it() -> None:
    given = Given([[0.1]] * 9, [1.0] * 9)
    run_clock(given, None, workers=1, enough=lambda: len(given.events) == 4)
    assert len(given.events) == 4


def test_a_searcher_that_waits_for_paused_candidates() -> None:
    """Under HyperBand the whole bracket may wait for candidates that do not come before it has ended."""
    given = Given([[0.1 * each] * 27 for each in range(12)], [1.0] * 12, waits={8: 8})
    run_clock(given, get("hyperband", max_fidelity=27), workers=2)
    ended = [event.number for event in given.events if event.action in ("COMPLETE", "STOP")]
    assert sorted(ended) == list(range(12))


@pytest.mark.parametrize(("max_fidelity", "workers"), [(9, 3), (12, 3), (27, 4)])
def test_hyperband_stops_candidates_if_there_are_as_many_workers_as_in_its_first_bracket(max_fidelity: int, workers: int) -> None:
    ended = {}
    for count in (workers, workers - 1):
        given = Given([[0.1 * (each % 7)] * max_fidelity for each in range(30)], [1.0] * 30)
        run_clock(given, get("hyperband", max_fidelity=max_fidelity), workers=count)
        ended[count] = sum(event.action == "STOP" for event in given.events)
    assert ended[workers] >= 10 and ended[workers - 1] == 0  # Tune fills the first bracket, which stops none, again and again


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("workers", [1, 3])
def test_each_candidate_ends_once_and_courses_repeat(name: str, workers: int) -> None:
    scores = [[math.sin(each) - 0.5**step for step in range(9)] for each in range(30)]
    courses = []
    for _ in range(2):
        given = Given(scores, [1.0 + each % 3 for each in range(30)])
        run_clock(given, get(name, max_fidelity=9), workers=workers)
        ended = [event.number for event in given.events if event.action in ("COMPLETE", "STOP")]
        assert sorted(ended) == list(range(30))
        courses.append(given.course())
    assert courses[0] == courses[1]


class Raises(FIFOScheduler):
    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id.endswith("2"):
            raise KeyError("score")
        return TrialScheduler.CONTINUE


def test_a_scheduler_that_raises_ends_it_and_nothing_told_is_lost() -> None:
    given = Given([[0.1, 0.2]] * 5, [1.0] * 5)
    with pytest.raises(RunError, match="Raises.on_trial_result raised KeyError"):
        run_clock(given, Raises(), workers=2)
    assert [event.number for event in given.events if event.action == "COMPLETE"] == [0, 1]
    assert given.course()[-1][1:] == (2, 1, "STOP")  # its score is kept


def test_workers_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="workers"):
        run_clock(Given([[0.1]], [1.0]), None, workers=0)
