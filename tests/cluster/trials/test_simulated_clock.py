"""Searches on the simulated clock: what searchers are told, what the ledger holds, and courses that repeat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler

from archsearch import searchers
from archsearch.cluster import Ledger
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.clock import ClockEvent
from archsearch.cluster.trials.simulated_clock import run_simulated_clock
from archsearch.errors import ConfigurationError, RunError
from archsearch.evaluators import CurveTable, TabularEvaluator

TABLE = CurveTable.embedded("digits201")
COUNT = 40


class Heard:
    """Passes everything to a searcher, and notes what it is told of each candidate."""

    def __init__(self, name: str = "random", seed: int = 0, **settings: Any) -> None:
        self.searcher = searchers.get(name)(TABLE.space, seed, num_candidates=COUNT, batch_size=1, **settings)
        self.told: dict[str, list[tuple[float, Any, Any]]] = {}

    def simulate(self, workers: int) -> None:
        self.searcher.simulate(workers)

    def suggest(self, trial_id: str) -> Any:
        return self.searcher.suggest(trial_id)

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.told.setdefault(trial_id, []).append((result["scores"][0], result["fidelities"][0], result["paused"]))
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        assert result is not None
        self.told.setdefault(trial_id, []).append((result["scores"][0], result["fidelities"][0], "ended"))
        self.searcher.on_trial_complete(trial_id, result)


def scheduler(name: str | None, **options: Any) -> Any:
    return name and registry.get(name, options, max_fidelity=TABLE.max_fidelity)


@pytest.mark.parametrize("name", [None, "asha", "promotion", "hyperband", "median"])
def test_searchers_are_told_each_decision_and_each_end_once(name: str | None) -> None:
    heard = Heard()
    course = run_simulated_clock(heard, TABLE, workers=4, scheduler=scheduler(name))
    assert heard.searcher.complete and len(heard.told) == COUNT
    for number, (_, told) in enumerate(sorted(heard.told.items())):
        mine = [event for event in course if event.number == number and event.action != "RESUME"]
        assert [score for score, _, _ in told] == [event.score for event in mine]
        assert [end == "ended" for _, _, end in told] == [False] * (len(told) - 1) + [True]
        assert all(paused == (event.action == "PAUSE") for (_, _, paused), event in zip(told[:-1], mine[:-1], strict=True))
        evaluation = mine[-1].evaluation
        assert evaluation is not None and told[-1][1] == evaluation.fidelity
        [whole] = TABLE.evaluate([evaluation.architecture])
        if not evaluation.is_partial:
            assert evaluation == whole and mine[-1].seconds == pytest.approx(whole.seconds)
    if name in ("asha", "promotion"):
        assert sum(event.action == "COMPLETE" for event in course) < COUNT / 2


def test_without_a_scheduler_the_seconds_are_those_of_the_table() -> None:
    course = run_simulated_clock(Heard(), TABLE, workers=1)
    spent = [event.evaluation.seconds for event in course if event.evaluation]
    assert course[-1].second == pytest.approx(math.fsum(spent))
    faster = run_simulated_clock(Heard(), TABLE, workers=4)
    assert faster[-1].second < 0.35 * course[-1].second


@pytest.mark.parametrize("name", ["random", "evolution", "optuna"])
def test_courses_repeat(name: str) -> None:
    courses = [run_simulated_clock(Heard(name), TABLE, workers=3, scheduler=scheduler("promotion")) for _ in range(2)]
    assert courses[0] == courses[1]


def test_the_ledger_has_complete_and_partial_evaluations(tmp_path: Path) -> None:
    course = run_simulated_clock(Heard(), TABLE, workers=2, scheduler=scheduler("asha"), ledger=str(tmp_path), run="a")
    ledger = Ledger(tmp_path, TABLE.space, TABLE.fingerprint())
    complete = {event.evaluation.key for event in course if event.action == "COMPLETE" and event.evaluation}
    stopped = {(event.evaluation.key, event.fidelity) for event in course if event.action == "STOP" and event.evaluation}
    assert {entry.evaluation.key for entry in ledger.entries("a")} == complete
    assert {(entry.evaluation.key, entry.evaluation.fidelity) for entry in ledger.partial("a")} == stopped
    known = {entry.evaluation.key: entry.evaluation for entry in ledger.entries("a")}
    again = run_simulated_clock(
        Heard(), TABLE, workers=2, scheduler=scheduler("asha"), ledger=str(tmp_path), run="b", known=known
    )
    assert again == course and not ledger.entries("b")


def test_a_limit_in_simulated_seconds() -> None:
    whole = run_simulated_clock(Heard(), TABLE, workers=2, scheduler=scheduler("asha"))
    heard = Heard()
    half = run_simulated_clock(heard, TABLE, workers=2, scheduler=scheduler("asha"), seconds=whole[-1].second / 2)
    before = [event for event in half if event.reason != "the time is up"]
    assert before == whole[: len(before)] and half[-1].second <= whole[-1].second / 2
    assert not heard.searcher.finished


def test_on_event_ends_the_search() -> None:
    seen: list[ClockEvent] = []

    def enough(event: ClockEvent) -> bool:
        seen.append(event)
        return len(seen) == 5

    course = run_simulated_clock(Heard(), TABLE, workers=2, on_event=enough)
    assert course[:5] == seen[:5] and len(course) == 5


class Raises(FIFOScheduler):
    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id.endswith("7"):
            raise ValueError("no more")
        return self.CONTINUE


def test_a_scheduler_that_raises_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="scheduler: Raises.on_trial_result raised ValueError .*no more. What was paid is in the"):
        run_simulated_clock(Heard(), TABLE, workers=2, scheduler=Raises(), ledger=str(tmp_path), run="a")
    ledger = Ledger(tmp_path, TABLE.space, TABLE.fingerprint())
    assert len(ledger.entries("a")) >= 6 and ledger.partial("a")


def test_an_evaluator_that_cannot_report() -> None:
    with pytest.raises(ConfigurationError, match="evaluator: expected an evaluator that reports step by step"):
        run_simulated_clock(Heard(), TabularEvaluator.embedded("digits201"), workers=1)  # type: ignore[arg-type]
