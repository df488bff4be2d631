"""Step-wise evaluations as Ray Tune trials under a scheduler, on a real Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch.cluster import Ledger, TrialResources
from archsearch.cluster.ledger.rungs import RungEvent, partial_outcomes
from archsearch.cluster.schedulers import registry
from archsearch.cluster.trials.stepwise import run_stepwise
from archsearch.searchers import ArchitectureSearcher, RandomSearch

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
