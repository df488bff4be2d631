"""Schedulers of Tune without Tune: the calls that they get, their decisions again after a stop, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from archsearch.cluster.schedulers.offline import Decision, ScheduledTrials
from archsearch.cluster.schedulers.registry import get, names
from archsearch.errors import ConfigurationError, RunError


class Noted(FIFOScheduler):
    """Notes the calls; pauses at the second step, stops at the third."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str, str]] = []

    def on_trial_add(self, controller: Any, trial: Any) -> None:
        self.calls.append(("add", str(trial), trial.status))

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self.calls.append(
            (f"result {result['training_iteration']} {result['fidelity']} {result['score']}", str(trial), trial.status)
        )
        return {1: self.CONTINUE, 2: self.PAUSE, 3: self.STOP}[result["fidelity"]]

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self.calls.append((f"complete {result['fidelity']}", str(trial), trial.status))

    def on_trial_error(self, controller: Any, trial: Any) -> None:
        self.calls.append(("error", str(trial), trial.status))

    def on_trial_remove(self, controller: Any, trial: Any) -> None:
        self.calls.append(("remove", str(trial), trial.status))


def test_the_calls_are_those_of_tune() -> None:
    trials = ScheduledTrials(Noted())
    trials.add(4)
    assert trials.result(4, 1, 0.5).action == "CONTINUE"
    assert trials.result(4, 2, 0.5) == Decision("PAUSE", "1st of 1 at 2 epochs")
    assert trials.runnable() == 4 and trials.runnable(new=True) is None  # first in, first out: new ones come first
    trials.resume(4)
    assert trials.result(4, 3, 0.6).action == "STOP"
    for number in (5, 6):
        trials.add(number)
        trials.result(number, number - 4, 0.1)
        trials.ended(number)
    trials.add(7)
    assert trials.result(7, 4, 0.1, last=True).action == "STOP"
    assert trials.scheduler.calls == [  # type: ignore[attr-defined]
        ("add", "trial000004", "RUNNING"),
        ("result 1 1 0.5", "trial000004", "RUNNING"),
        ("result 2 2 0.5", "trial000004", "RUNNING"),
        ("result 3 3 0.6", "trial000004", "RUNNING"),
        ("complete 3", "trial000004", "RUNNING"),
        ("add", "trial000005", "RUNNING"),
        ("result 1 1 0.1", "trial000005", "RUNNING"),
        ("error", "trial000005", "RUNNING"),
        ("add", "trial000006", "RUNNING"),
        ("result 2 2 0.1", "trial000006", "RUNNING"),
        ("remove", "trial000006", "PAUSED"),
        ("add", "trial000007", "RUNNING"),
        ("complete 4", "trial000007", "RUNNING"),
    ]


Decided = list[tuple[int, int, Decision]]


def course(trials: ScheduledTrials, scores: Any, first: int, last: int, before: Decided | None = None) -> Decided:
    """Run trials of these numbers one after the other, and those that are promoted; return all decisions."""
    decisions = list(before or ())
    for number in range(first, last):
        trials.add(number)
        fidelity = 0
        while fidelity == 0 or decisions[-1][2].action == "CONTINUE":
            fidelity += 1
            decisions.append(
                (number, fidelity, trials.result(number, fidelity, scores[number, fidelity - 1], last=fidelity == 9))
            )
        while (promoted := trials.runnable(new=True)) is not None:
            trials.resume(promoted)
            fidelity = max(each for known, each, _ in decisions if known == promoted) + 1
            decisions.append(
                (promoted, fidelity, trials.result(promoted, fidelity, scores[promoted, fidelity - 1], last=fidelity == 9))
            )
    return decisions


@pytest.mark.parametrize("name", names())
def test_rungs_are_given_back_by_the_same_calls(name: str) -> None:
    scores = np.random.default_rng(1).uniform(size=(30, 9))
    whole = course(ScheduledTrials(get(name, max_fidelity=9)), scores, 0, 30)
    again = ScheduledTrials(get(name, max_fidelity=9))
    before = course(again, scores, 0, 11)
    assert before == whole[: len(before)]
    assert course(again, scores, 11, 30, before) == whole


def test_reasons_name_place_and_rule() -> None:
    trials = ScheduledTrials(get("asha", {"grace_period": 1}, max_fidelity=9))
    reasons = []
    for number, score in enumerate([0.5, 0.7, 0.1, 0.8, 0.3, 0.9, 0.2]):
        trials.add(number)
        decision = trials.result(number, 1, score)
        reasons.append((decision.action, decision.reason))
    assert reasons[1] == ("CONTINUE", "1st of 2 at 1 epoch; the best goes on")
    assert reasons[6] == ("STOP", "6th of 7 at 1 epoch; the best 2 go on")
    assert trials.reason(6) == reasons[6][1]
    assert trials.result(5, 2, 0.9) == Decision("CONTINUE", "")  # no rung


def test_median_says_why_it_stops() -> None:
    trials = ScheduledTrials(get("median", {"grace_period": 1}, max_fidelity=9), "rounds")
    for number in range(5):
        trials.add(number)
        decision = trials.result(number, 1, 1.0 - number)
    assert decision == Decision("STOP", "5th of 5 at 1 round; below the median of the others so far")


class Raises(FIFOScheduler):
    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        raise ZeroDivisionError("division\nby zero")


class Confused(FIFOScheduler):
    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> Any:
        return "GO ON"


class Itself(FIFOScheduler):
    """Pauses and stops trials by the controller."""

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        controller.pause_trial(trial) if result["fidelity"] == 1 else controller.stop_trial(trial)
        return TrialScheduler.NOOP


def test_a_scheduler_that_raises() -> None:
    trials = ScheduledTrials(Raises())
    trials.add(0)
    with pytest.raises(RunError) as raised:
        trials.result(0, 3, 0.5)
    assert str(raised.value) == (
        "scheduler: Raises.on_trial_result raised ZeroDivisionError for trial000000, {'training_iteration': 3, 'fidelity': 3, "
        "'score': 0.5}: division by zero. What was paid is in the ledger: mend the scheduler and resume the search, or choose "
        "another one, such as promotion or asha."
    )


def test_a_scheduler_that_returns_something_else() -> None:
    trials = ScheduledTrials(Confused())
    trials.add(0)
    with pytest.raises(RunError, match="expected CONTINUE, PAUSE or STOP from on_trial_result of Confused; got 'GO ON'"):
        trials.result(0, 3, 0.5)


def test_a_scheduler_that_pauses_and_stops_by_itself() -> None:
    trials = ScheduledTrials(Itself())
    trials.add(0)
    assert trials.result(0, 1, 0.5).action == "PAUSE" and trials.paused() == [0]
    trials.resume(0)
    assert trials.result(0, 2, 0.5).action == "STOP"


def test_bad_arguments() -> None:
    with pytest.raises(ConfigurationError, match="scheduler: expected a scheduler of ray.tune.schedulers; got 'asha'"):
        ScheduledTrials("asha")  # type: ignore[arg-type]
    trials = ScheduledTrials(get("asha", max_fidelity=9))
    with pytest.raises(ConfigurationError, match="number: expected a trial that was added; got 3"):
        trials.result(3, 1, 0.5)
    trials.add(3)
    with pytest.raises(ConfigurationError, match="score: expected a finite number; got nan"):
        trials.result(3, 1, float("nan"))
    trials.result(3, 9, 0.5, last=True)
    with pytest.raises(ConfigurationError, match="trial 3 has"):
        trials.result(3, 9, 0.5)
