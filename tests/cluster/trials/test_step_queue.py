"""Decisions of schedulers on step-wise evaluations, without Ray: the order of scores, stops, pauses and runs that go on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster import Ledger
from archsearch.cluster.ledger.rungs import RungEvent, RungLog, partial_outcomes
from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.trials.step_queue import StepQueue
from archsearch.cluster.trials.step_trial import StepTask, StepWorker
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation
from archsearch.searchers import ArchitectureSearcher, Goals, Objective, Observation, RandomSearch, RegularizedEvolution

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
        self.task = StepTask(evaluator, str(folder), run, milestones(made), 1.0, reuse)
        if not deterministic:
            self.searcher.replay(before(self.ledger, run))
        self.queue = StepQueue(
            self.searcher,
            made,
            self.task,
            workers=4 if deterministic else workers,
            ordered=deterministic,
            known=self.ledger.read().known(run) if known is None else known,
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
    chance, kills = random.Random(seed), 0
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
    steps = Counter(evaluator.noted())
    print(f"\nseed {seed}: {len(steps)} steps, {sum(steps.values())} paid, the driver killed {kills} times")
    assert kills
    assert max(steps.values()) == 1, "a step whose checkpoint was written is never paid again"
    assert search.searcher.complete and len(search.searcher.history) == 24
    told = outcomes(search.searcher)
    paid = Counter(evaluator.space.key(evaluator.space.parse(text)) for text, _ in steps)
    reached = {key: fidelity or 9 for key, (_, fidelity) in told.items()}
    # Decisions of the last second before a kill may be lost. Taken again, one may stop a candidate earlier than before.
    assert paid == reached or (not deterministic and all(paid[key] >= count for key, count in reached.items()))
    events = RungLog(search.ledger, "run").read()
    assert [event.order for event in events] == list(range(len(events)))
    assert Counter(event.action for event in events)["START"] == 24
    assert max(Counter((event.trial, event.fidelity) for event in events if event.has_score).values()) == 1
    if deterministic:
        straight = Search(make_steps(), tmp_path / "straight", scheduler=scheduler, deterministic=True, workers=1).go()
        assert decisions(events) == decisions(straight.events)
        assert told == outcomes(straight.searcher)


class Stops(FIFOScheduler):
    """Stops each candidate at some fidelity."""

    def __init__(self, fidelity: int) -> None:
        super().__init__()
        self.fidelity = fidelity

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self.STOP if result["fidelity"] >= self.fidelity else self.CONTINUE


@pytest.mark.parametrize("what", ["checkpoints", "none", "no reuse"])
def test_candidate_that_is_asked_for_more_on_another_day(
    make_steps: Callable[..., Any], tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    evaluator = make_steps()
    first = Search(evaluator, tmp_path / "ledger", scheduler=Stops(3), candidates=3, run="first").go()
    assert set(outcomes(first.searcher).values()) == {(row.evaluation.score, 3) for row in first.searcher.history}
    if what == "none":
        for path in (tmp_path / "ledger" / "_checkpoints").rglob("*.pt"):
            path.unlink()
    before = len(evaluator.noted())
    second = Search(evaluator, tmp_path / "ledger", scheduler=Stops(7), candidates=3, run="second", reuse=what != "no reuse")
    second.go()
    paid = Counter(number for _, number in evaluator.noted()[before:])
    assert paid == dict.fromkeys(range(4 if what == "checkpoints" else 1, 8), 3)
    assert ("all its 3 steps are paid again" in caplog.text) == (what == "none")
    assert {fidelity for _, fidelity in outcomes(second.searcher).values()} == {7}
    scored = [(event.fidelity, event.action) for event in second.events if event.trial == 0 and event.has_score]
    assert scored == [(each, "STOP" if each == 7 else "CONTINUE") for each in range(1, 8)], "known scores go to the scheduler"
    rows = {entry.evaluation.key: entry.evaluation.fidelity for entry in partial_outcomes(second.ledger, "second")}
    assert set(rows.values()) == {7} and len(rows) == 3


def test_candidate_of_another_run_that_is_stopped_earlier_costs_nothing(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    Search(evaluator, tmp_path / "ledger", scheduler=Stops(7), candidates=3, run="first").go()
    before = len(evaluator.noted())
    second = Search(evaluator, tmp_path / "ledger", scheduler=Stops(3), candidates=3, run="second").go()
    assert len(evaluator.noted()) == before
    assert all(row.reused for row in second.searcher.history)
    found = partial_outcomes(second.ledger, "second")
    assert [entry.evaluation.fidelity for entry in found] == [3, 3, 3], "the run has its outcomes"
    for entry in found:
        scores = tuple(evaluator.score(entry.evaluation.architecture, number) for number in (1, 2, 3))
        assert entry.evaluation.curves["step_score"] == scores and entry.evaluation.score == scores[-1]
        assert entry.evaluation.seconds == 6.0


@pytest.mark.parametrize("curves", [True, False])
@pytest.mark.parametrize("deterministic", [True, False])
def test_complete_evaluations_of_other_runs(
    make_steps: Callable[..., Any], tmp_path: Path, curves: bool, deterministic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    evaluator = make_steps()
    ledger = Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())
    proposed = RandomSearch(evaluator.space, 3, num_candidates=24, batch_size=1, deterministic=deterministic)
    texts = [proposed.suggest(str(number))["candidates"][0] for number in range(4)]  # type: ignore[index]
    found = evaluator.evaluate([evaluator.space.parse(text) for text in texts])
    ledger.append("other", 0, [(at, each if curves else replace(each, curves={})) for at, each in enumerate(found)])
    before = len(evaluator.noted())
    search = Search(evaluator, tmp_path / "ledger", scheduler="asha", deterministic=deterministic, candidates=12).go()
    assert not {text for text, _ in evaluator.noted()[before:]} & set(texts), "they are not evaluated again"
    told = [row for row in search.searcher.history if str(row.evaluation.architecture) in texts]
    assert len(told) == 4 and all(row.reused for row in told)
    scored = [event for event in search.events if event.architecture in texts and event.has_score]
    assert {event.fidelity for event in scored} == ({1, 3, 9} if curves else {9})
    assert all(event.seconds == 0.0 for event in scored)
    assert caplog.text == ""
    if not deterministic:  # the scheduler gets the same rungs back
        again = Search(evaluator, tmp_path / "ledger", scheduler="asha", candidates=14).go()
        assert len(again.searcher.history) == 14 and "decides otherwise" not in caplog.text
    if deterministic and curves:
        plain = Search(make_steps(), tmp_path / "plain", scheduler="asha", deterministic=True, candidates=12).go()
        assert decisions(search.events) == decisions(plain.events), "what is known changes no decision"
    else:
        assert all(row.evaluation.fidelity is None for row in told), "what is there counts"


@pytest.mark.parametrize("what", ["nan", "raises"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_failed_step_ends_its_candidate(make_steps: Callable[..., Any], tmp_path: Path, what: str, deterministic: bool) -> None:
    proposed = RandomSearch(make_steps().space, 3, num_candidates=24, batch_size=1, deterministic=deterministic)
    text = proposed.suggest("0")["candidates"][0]  # type: ignore[index]
    evaluator = make_steps(**{what: (text, 2)})
    search = Search(evaluator, tmp_path / "ledger", scheduler=Stops(4), deterministic=deterministic, candidates=4).go()
    [failed] = [row.evaluation for row in search.searcher.history if not row.evaluation.ok]
    assert str(failed.architecture) == text and failed.fidelity is None
    assert [event.action for event in search.events if event.trial == 0] == ["START", "CONTINUE", "FAIL"]
    assert len(search.searcher.history) == 4 and Counter(evaluator.noted("begin")).most_common(1)[0][1] == 1
    again = Search(evaluator, tmp_path / "ledger", scheduler=Stops(4), deterministic=deterministic, candidates=4).go()
    assert outcomes(again.searcher).keys() == outcomes(search.searcher).keys()
    assert max(Counter(evaluator.noted("begin")).values()) == 1, "it is not tried again"


def test_batch_of_several_candidates(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    searcher = RandomSearch(evaluator.space, 3, num_candidates=8, batch_size=4)
    with pytest.raises(ConfigurationError, match="batch_size: expected 1 with a scheduler"):
        Search(evaluator, tmp_path / "ledger", searcher=searcher).go()


def test_more_candidates_after_the_end(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    Search(evaluator, tmp_path / "ledger", candidates=12).go()
    search = Search(evaluator, tmp_path / "ledger", candidates=24).go()
    assert len(search.searcher.history) == 24 and search.searcher.complete
    assert max(Counter(evaluator.noted()).values()) == 1


def test_scheduler_that_pauses_all_and_resumes_none(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    class Pauses(FIFOScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            return self.PAUSE

        def choose_trial_to_run(self, tune_controller: Any) -> Any:
            return None

    evaluator = make_steps()
    search = Search(evaluator, tmp_path / "ledger", scheduler=Pauses(), candidates=5).go()
    assert [row.evaluation.fidelity for row in search.searcher.history] == [1] * 5
    assert search.events[-1].action == "STOP" and "nothing else could run" in search.events[-1].reason


def test_objectives_of_partial_evaluations(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    evaluator = make_steps()
    goals = Goals((Objective("score"), Objective("half")))
    searcher = RandomSearch(evaluator.space, 3, num_candidates=6, batch_size=1, goals=goals)
    Search(evaluator, tmp_path / "ledger", searcher=searcher).go()
    assert all(row.evaluation.metrics == {"half": row.evaluation.score / 2} for row in searcher.history)
