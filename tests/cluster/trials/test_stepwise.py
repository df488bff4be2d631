"""Step-wise evaluations as Ray Tune trials under a scheduler, on a real Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler

from archsearch.cluster import Ledger, TrialResources
from archsearch.cluster.ledger.rungs import RungEvent, partial_outcomes
from archsearch.cluster.schedulers import registry
from archsearch.cluster.trials.stepwise import run_stepwise
from archsearch.errors import ConfigurationError, DatasetError, RunError
from archsearch.evaluators import TrainingEvaluator
from archsearch.searchers import ArchitectureSearcher, RandomSearch, RegularizedEvolution
from archsearch.spaces import SearchSpace

pytestmark = pytest.mark.usefixtures("ray_cluster")


def run(
    searcher: ArchitectureSearcher, evaluator: Any, folder: Path, scheduler: Any = "promotion", workers: int = 2, **settings: Any
) -> tuple[Ledger, list[RungEvent]]:
    """Run a search; return the ledger that it leaves and the events."""
    events: list[RungEvent] = []
    made = registry.get(scheduler, {}, max_fidelity=evaluator.max_fidelity) if isinstance(scheduler, str) else scheduler
    run_stepwise(
        searcher,
        evaluator,
        scheduler=made,
        ledger=str(folder / "ledger"),
        run="run",
        folder=folder / f"tune{len(list(folder.iterdir()))}",
        workers=workers,
        resources=TrialResources(cpus=1.0 if workers <= 2 else 0.5),
        on_rung=events.append,
        **settings,
    )
    return Ledger(folder / "ledger", evaluator.space, evaluator.fingerprint(), seed=evaluator.seed), events


@pytest.mark.slow
def test_candidates_are_stopped_and_each_step_is_paid_once(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    searcher = RandomSearch(evaluator.space, 3, num_candidates=12, batch_size=1)
    ledger, events = run(searcher, evaluator, tmp_path)
    steps = Counter(evaluator.noted())
    told = {row.evaluation.key: row.evaluation.fidelity for row in searcher.history}
    assert searcher.complete and len(told) == 12
    assert max(steps.values()) == 1
    assert len(steps) == sum(fidelity or 9 for fidelity in told.values()) < 12 * 9
    entries = [*ledger.entries("run"), *partial_outcomes(ledger, "run")]
    assert {entry.evaluation.key: entry.evaluation.fidelity for entry in entries} == told
    assert {event.action for event in events} >= {"START", "PAUSE", "RESUME", "STOP", "COMPLETE"}
    assert not list((tmp_path / "ledger").rglob("*.json")), "the notes of the tries are gone"


def test_evaluator_that_gives_one_score_at_the_end(make_evaluator: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_evaluator()
    scheduler = registry.get("asha", {}, max_fidelity=9, fidelity_name="epochs")
    with pytest.raises(ConfigurationError, match="scheduler: the evaluator NotingEvaluator gives one score at the end"):
        run(RandomSearch(evaluator.space), evaluator, tmp_path, scheduler)


class Raising(FIFOScheduler):
    """A scheduler that raises an error at its third result."""

    def __init__(self) -> None:
        super().__init__()
        self.results = 0

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self.results += 1
        if self.results == 3:
            raise KeyError("accuracy")
        return self.CONTINUE


@pytest.mark.slow
def test_scheduler_that_raises(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    searcher = RandomSearch(evaluator.space, 3, num_candidates=12, batch_size=1)
    with pytest.raises(RunError, match="scheduler: Raising.on_trial_result raised KeyError"):
        run(searcher, evaluator, tmp_path, Raising(), workers=1)
    ledger = Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())
    paid = Counter(text for text, _ in evaluator.noted())
    found = {
        str(entry.evaluation.architecture): entry.evaluation.fidelity for entry in partial_outcomes(ledger, "run", ended=False)
    }
    assert found == paid == {next(iter(paid)): 3}, "what was paid is in the ledger"

    # Mended, it goes on.
    searcher = RandomSearch(evaluator.space, 3, num_candidates=4, batch_size=1)
    run(searcher, evaluator, tmp_path, FIFOScheduler(), workers=1)
    assert Counter(evaluator.noted()) == Counter(
        (str(row.evaluation.architecture), number) for row in searcher.history for number in range(1, 10)
    )


@pytest.mark.slow
def test_process_that_dies_costs_one_step(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    first, second, third = proposals(make_steps(), 3)
    evaluator = make_steps(deaths={(first, 1): 1, (second, 5): 1, (third, 2): 1000})
    searcher = RandomSearch(evaluator.space, 3, num_candidates=12, batch_size=1)
    _, events = run(searcher, evaluator, tmp_path, "median")
    begun, steps = Counter(evaluator.noted("begin")), Counter(evaluator.noted())
    assert max(steps.values()) == 1
    assert {name: count for name, count in begun.items() if count > 1}.items() <= {
        (first, 1): 2,
        (second, 5): 2,
        (third, 2): 2,
    }.items()
    assert searcher.complete
    errors = {str(row.evaluation.architecture): row.evaluation.error for row in searcher.history if row.evaluation.error}
    assert list(errors) == [third] and "killed its process 2 times" in errors[third]
    assert [event.action for event in events if event.architecture == third][-1] == "FAIL"


def proposals(evaluator: Any, count: int) -> list[str]:
    """Return the first candidates of a search in which no outcome matters."""
    searcher = RandomSearch(evaluator.space, 3, num_candidates=count, batch_size=1)
    return [searcher.suggest(str(number))["candidates"][0] for number in range(count)]  # type: ignore[index]


@pytest.mark.slow
def test_error_that_all_candidates_would_meet(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    [first] = proposals(make_steps(), 1)
    evaluator = make_steps(breaks=(first, 1))
    with pytest.raises(DatasetError, match="the disk with the images has gone"):
        run(RandomSearch(evaluator.space, 3, num_candidates=12, batch_size=1), evaluator, tmp_path, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [pytest.param("asha", marks=pytest.mark.long), "promotion"])
def test_one_worker_and_four_give_the_same(make_steps: Callable[..., Any], tmp_path: Path, scheduler: str) -> None:
    found = []
    for workers in (1, 4):
        evaluator, folder = make_steps(), tmp_path / str(workers)
        folder.mkdir()
        settings = {"num_candidates": 20, "batch_size": 1, "deterministic": True}
        searcher = RegularizedEvolution(evaluator.space, 2, population_size=8, tournament_size=3, **settings)
        _, events = run(searcher, evaluator, folder, scheduler, workers, deterministic=True)
        decisions = [(event.order, event.trial, event.key, event.fidelity, event.action) for event in events]
        found.append((decisions, [(row.evaluation.key, row.evaluation.fidelity) for row in searcher.history]))
    assert found[0] == found[1]


@pytest.mark.slow
def test_trainings_under_a_scheduler(space: SearchSpace, tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(space, "digits", epochs=4, scale={"channels": 2, "cells_per_stage": 1})
    searcher = RandomSearch(space, 3, num_candidates=5, batch_size=1)
    ledger, events = run(searcher, evaluator, tmp_path, "promotion")
    told = {row.evaluation.key: (row.evaluation.score, row.evaluation.fidelity) for row in searcher.history}
    assert len(told) == 5 and {fidelity for _, fidelity in told.values()} >= {None, 1}
    for entry in [*ledger.entries("run"), *partial_outcomes(ledger, "run")]:
        evaluation = entry.evaluation
        [straight] = evaluator.evaluate([evaluation.architecture])
        assert evaluation.curves["step_score"] == straight.curves["step_score"][: evaluation.fidelity]
        assert told[evaluation.key] == (evaluation.score, evaluation.fidelity)
    assert all(event.seconds > 0 for event in events if event.has_score)


@pytest.mark.slow
def test_run_whose_scores_are_all_known(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator, found = make_steps(), []
    for _ in range(2):
        searcher = RandomSearch(evaluator.space, 3, num_candidates=4, batch_size=1, deterministic=True)
        ledger = Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())
        _, events = run(searcher, evaluator, tmp_path, "asha", 1, deterministic=True, known=ledger.read().known("run"))
        found.append([(row.evaluation.key, row.evaluation.score, row.evaluation.fidelity) for row in searcher.history])
    assert found[0] == found[1] and len(found[0]) == 4
    assert not events, "no decision is new"
    assert max(Counter(evaluator.noted()).values()) == 1
