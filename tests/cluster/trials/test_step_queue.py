"""Decisions of schedulers on step-wise evaluations, without Ray: the order of scores, stops, pauses and runs that go on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster import Ledger
from archsearch.cluster.ledger.rungs import RungEvent, RungLog, partial_outcomes
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.trials.step_queue import StepQueue
from archsearch.cluster.trials.step_trial import StepTask, StepWorker
from archsearch.evaluators import Evaluation
from archsearch.searchers import ArchitectureSearcher, Observation, RandomSearch, RegularizedEvolution

SCHEDULERS = ["promotion", *(pytest.param(name, marks=pytest.mark.slow) for name in ("asha", "hyperband", "median"))]


class Killed(Exception):
    """The driver was killed."""


class Search:
    """A search whose workers run in this process, in an order that chance decides.

    Args:
        evaluator: The step-wise evaluator.
        folder: Folder of the ledger.
        seed: Seed of the order of workers, and of deaths.
        workers: Number of workers.
        scheduler: Name of the scheduler.
        deterministic: Whether the order of scores is fixed.
        searcher: The searcher.
        deaths: Probability that the process of a worker dies at one of its turns.
        kill_after: Number of turns after which the driver is killed.
    """

    def __init__(
        self,
        evaluator: Any,
        folder: Path,
        *,
        seed: int = 0,
        workers: int = 2,
        scheduler: str | TrialScheduler = "promotion",
        deterministic: bool = False,
        searcher: ArchitectureSearcher | None = None,
        deaths: float = 0.0,
        kill_after: int | None = None,
        run: str = "run",
        known: Mapping[str, Evaluation] | None = None,
        reuse: bool = True,
        candidates: int = 24,
    ) -> None:
        self.rng = random.Random(seed)
        self.events: list[RungEvent] = []
        self.ledger = Ledger(folder, evaluator.space, evaluator.fingerprint())
        self.searcher = searcher or RandomSearch(
            evaluator.space, 3, num_candidates=candidates, batch_size=1, deterministic=deterministic
        )
        made = registry.get(scheduler, {}, max_fidelity=evaluator.max_fidelity) if isinstance(scheduler, str) else scheduler
        self.task = StepTask(evaluator, str(folder), run, milestones(made), 1.0)
        if not deterministic:
            self.searcher.replay(before(self.ledger, run))
        self.queue = StepQueue(
            self.searcher,
            evaluator,
            made,
            self.ledger,
            run,
            checkpoints=self.task.store(),
            workers=4 if deterministic else workers,
            ordered=deterministic,
            known=self.ledger.read().known(run) if known is None else known,
            reuse=reuse,
            on_rung=self.events.append,
        )
        self.workers: list[StepWorker | None] = [None] * workers
        self.running: dict[int, tuple[str, dict[str, Any]]] = {}
        self.deaths, self.kill_after, self.turns = deaths, kill_after, 0

    def go(self) -> Search:
        """Run to the end, or until the driver is killed."""
        while True:
            ended = False
            for place in range(len(self.workers)):
                if place not in self.running:
                    trial_id = f"t{self.turns}-{place}"
                    suggestion = self.queue.suggest(trial_id)
                    if isinstance(suggestion, dict):
                        self.running[place] = (trial_id, suggestion)
                    ended = suggestion == Searcher.FINISHED
            if not self.running:
                assert ended, "nothing runs, and nothing is to run"
                self.queue.close()
                return self
            self.turn(self.rng.choice(sorted(self.running)))

    def turn(self, place: int) -> None:
        """Let a worker do the steps up to its next report."""
        self.turns += 1
        trial_id, suggestion = self.running[place]
        worker = self.workers[place] = self.workers[place] or StepWorker(self.task)
        report = worker.advance(suggestion)
        if self.rng.random() < self.deaths:  # before the report is there; Tune then starts the same trial again
            self.workers[place] = None
            return
        if self.kill_after is not None and self.turns > self.kill_after:
            raise Killed
        if self.queue.take(report):
            self.queue.on_trial_complete(trial_id)
            del self.running[place]


def before(ledger: Ledger, run: str) -> list[Observation]:
    """Return the outcomes of a run so far, as the platform gives them to a searcher."""
    entries = [*ledger.entries(run), *partial_outcomes(ledger, run)]
    return [Observation(entry.batch, entry.position, entry.evaluation, False) for entry in entries]


def decisions(events: list[RungEvent]) -> list[tuple[Any, ...]]:
    """Return what was decided, in order."""
    return [(each.order, each.trial, each.key, each.fidelity, each.action) for each in events]


def outcomes(searcher: ArchitectureSearcher) -> dict[str, tuple[float, int | None]]:
    """Return score and fidelity of each candidate."""
    return {row.evaluation.key: (row.evaluation.score, row.evaluation.fidelity) for row in searcher.history}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("deterministic", [False, True])
def test_each_step_is_paid_once(make_steps: Callable[..., Any], tmp_path: Path, scheduler: str, deterministic: bool) -> None:
    evaluator = make_steps()
    search = Search(evaluator, tmp_path / "ledger", scheduler=scheduler, deterministic=deterministic, workers=3).go()
    steps = Counter(evaluator.noted())
    assert max(steps.values()) == 1
    told = outcomes(search.searcher)
    assert search.searcher.complete and len(told) == 24
    assert len(steps) == sum(fidelity or 9 for _, fidelity in told.values()) < 24 * 9
    assert any(fidelity is None for _, fidelity in told.values())
    entries = [*search.ledger.entries("run"), *partial_outcomes(search.ledger, "run")]
    recorded = {entry.evaluation.key: (entry.evaluation.score, entry.evaluation.fidelity) for entry in entries}
    assert recorded == told
    assert [event.order for event in search.events] == list(range(len(search.events)))
    assert list(map(repr, RungLog(search.ledger, "run").read())) == list(map(repr, search.events))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_one_worker_and_four_decide_the_same(make_steps: Callable[..., Any], tmp_path: Path, scheduler: str) -> None:
    evaluator = make_steps()
    found = []
    for workers, seed in ((1, 0), (4, 1), (4, 2), (6, 3)):
        settings = {"num_candidates": 24, "batch_size": 1, "deterministic": True}
        searcher = RegularizedEvolution(evaluator.space, 2, population_size=8, tournament_size=3, **settings)
        search = Search(
            *(evaluator, tmp_path / str(seed)),
            **{"seed": seed, "workers": workers, "scheduler": scheduler, "deterministic": True, "searcher": searcher},
        ).go()
        found.append((decisions(search.events), outcomes(search.searcher)))
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow if seed < 3 else pytest.mark.long) for seed in range(1, 20))]
)
def test_kills_cost_one_step_of_each_candidate_in_hand(
    make_steps: Callable[..., Any], tmp_path: Path, scheduler: str, deterministic: bool, seed: int
) -> None:
    evaluator = make_steps()
    chance, again, kills = random.Random(seed), 0, 0
    while True:
        search = Search(
            *(evaluator, tmp_path / "ledger"),
            **{"seed": chance.randrange(1000), "workers": 3, "scheduler": scheduler, "deterministic": deterministic},
            deaths=0.05,
            kill_after=chance.randrange(3, 25),
        )
        try:
            search.go()
            break
        except Killed:
            kills += 1
            again += len(search.running)
    steps = Counter(evaluator.noted())
    assert kills > 1
    assert max(steps.values()) == 1, "a step whose checkpoint was written is never paid again"
    assert search.searcher.complete and len(search.searcher.history) == 24
    told = outcomes(search.searcher)
    paid = Counter(evaluator.space.key(evaluator.space.parse(text)) for text, _ in steps)
    assert paid == {key: fidelity or 9 for key, (_, fidelity) in told.items()}
    events = RungLog(search.ledger, "run").read()
    assert [event.order for event in events] == list(range(len(events)))
    assert Counter(event.action for event in events)["START"] == 24
    assert max(Counter((event.trial, event.fidelity) for event in events if event.has_score).values()) == 1
    if deterministic:
        straight = Search(make_steps(), tmp_path / "straight", scheduler=scheduler, deterministic=True, workers=1).go()
        assert decisions(events) == decisions(straight.events)
        assert told == outcomes(straight.searcher)
