"""Simulated workers: all searchers are told scores with the same delay, whatever is fast, slow or known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archsearch import searchers
from archsearch.cluster import Ledger, run_simulated
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation, TabularEvaluator
from archsearch.searchers import ArchitectureSearcher
from archsearch.spaces import Architecture

TABLE = TabularEvaluator.embedded("digits201")
COUNT = 30


class InProcess:
    """The calls that a stage of a surrogate search makes on a pool, answered in this process."""

    def __init__(self, surrogate: Any) -> None:
        self._surrogate = surrogate

    def fit(self, rows: Any, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(value=self._surrogate.fit(rows, **options), seconds=0.0)

    def publish(self, state: Any) -> None:
        self._surrogate.load(state)

    def propose(self, n: int, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(value=self._surrogate.propose(n, **options), seconds=0.0)


class Heard:
    """Passes everything to a searcher, and notes proposals and what it is told: `p0`, `p1`, `t0`, ..."""

    def __init__(self, name: str, **settings: Any) -> None:
        if name == "gp":
            settings = {"enumerable": 1, "population": 20, "generations": 2, **settings}  # fast
        self.searcher: ArchitectureSearcher = searchers.get(name)(TABLE.space, 1, num_candidates=COUNT, batch_size=1, **settings)
        if name == "gp":
            self.searcher._pool = InProcess(self.searcher.surrogate()())  # type: ignore[attr-defined]
        self.events, self.texts = list[str](), list[str]()

    def simulate(self, workers: int) -> None:
        self.searcher.simulate(workers)

    def suggest(self, trial_id: str) -> Any:
        suggestion = self.searcher.suggest(trial_id)
        if isinstance(suggestion, dict):
            self.events.append(f"p{suggestion['batch']}")
            self.texts += suggestion["candidates"]
        return suggestion

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        before = len(self.searcher.history)
        self.searcher.on_trial_complete(trial_id, result, error)
        self.events += [f"t{observation.batch}" for observation in self.searcher.history[before:]]


def run(heard: Heard, folder: Path, workers: int, known: Mapping[str, Evaluation] | None = None, **settings: Any) -> Ledger:
    run_simulated(heard, TABLE, ledger=str(folder), run="run", workers=workers, known=known or {}, **settings)
    return Ledger(folder, TABLE.space, TABLE.fingerprint(), seed=TABLE.seed)


def events(workers: int) -> list[str]:
    """Return what is to happen: each score is told after `workers` - 1 further proposals."""
    proposed = [[f"p{number}"] for number in range(COUNT)]
    told = [[f"t{number - workers + 1}"] if number >= workers - 1 else [] for number in range(COUNT)]
    rest = [f"t{number}" for number in range(COUNT - workers + 1, COUNT)]
    return [event for pair in zip(proposed, told, strict=True) for event in (*pair[0], *pair[1])] + rest


def test_the_expected_order_is_what_it_should_be() -> None:
    assert events(1)[:4] == ["p0", "t0", "p1", "t1"]
    assert events(3)[:6] == ["p0", "p1", "p2", "t0", "p3", "t1"] and events(3)[-2:] == ["t28", "t29"]


@pytest.mark.parametrize("name", ["random", "evolution", "optuna", "gp"])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_searcher_has_the_same_delay(name: str, workers: int, tmp_path: Path) -> None:
    heard = Heard(name)
    ledger = run(heard, tmp_path, workers)
    assert heard.events == events(workers)
    assert heard.searcher.complete and heard.searcher.workers == workers
    recorded = {str(entry.evaluation.architecture): entry.evaluation.score for entry in ledger.entries("run")}
    architectures = [TABLE.space.parse(text) for text in heard.texts]
    assert recorded == {str(row.architecture): row.score for row in TABLE.evaluate(architectures)}


@pytest.mark.parametrize("name", ["random", "evolution", "optuna"])
def test_what_the_ledger_holds_changes_nothing(name: str, tmp_path: Path) -> None:
    first, again = Heard(name), Heard(name)
    entries = run(first, tmp_path / "first", 3).entries()
    known = {entry.evaluation.key: entry.evaluation for entry in entries[::2]}
    rest = run(again, tmp_path / "again", 3, known).entries()
    assert (again.texts, again.events) == (first.texts, first.events)
    assert {row.evaluation.key for row in again.searcher.history if row.reused} == set(known)
    assert {entry.evaluation.key for entry in rest} == {entry.evaluation.key for entry in entries} - set(known)


def test_more_workers_mean_later_scores_and_another_search(tmp_path: Path) -> None:
    found = {workers: Heard("evolution", population_size=4, tournament_size=2) for workers in (1, 5)}
    for workers, heard in found.items():
        run(heard, tmp_path / str(workers), workers)
    assert found[1].texts[:4] == found[5].texts[:4] and found[1].texts != found[5].texts


def test_a_candidate_outside_the_table_fails_alone(tmp_path: Path) -> None:
    class Picky(TabularEvaluator):
        def evaluate(self, architectures: Any) -> list[Evaluation]:
            if "skip_connect" in str(architectures[0]):
                raise ZeroDivisionError
            return super().evaluate(architectures)

    heard, picky = Heard("random"), Picky.embedded("digits201")
    run_simulated(heard, picky, ledger=str(tmp_path), run="run", workers=2, known={})
    errors = {str(row.evaluation.architecture): row.evaluation.error for row in heard.searcher.history}
    assert {text for text, error in errors.items() if error == "ZeroDivisionError"} == {
        text for text in errors if "skip_connect" in text
    }
    assert len(errors) == COUNT and None in errors.values()


def test_time_and_interruption_end_it(tmp_path: Path) -> None:
    heard = Heard("random")
    run(heard, tmp_path, 1, seconds=0.0)
    assert heard.events == [] and not heard.searcher.complete

    class Interrupted(Heard):
        def suggest(self, trial_id: str) -> Any:
            if len(self.texts) == 7:
                raise KeyboardInterrupt
            return super().suggest(trial_id)

    interrupted = Interrupted("random")
    assert len(run(interrupted, tmp_path, 3).entries()) == 5, "the two that were not told are given up"
    assert not interrupted.searcher.complete


def test_workers_are_counted_from_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="workers: expected a whole number of at least 1; got 0"):
        run(Heard("random"), tmp_path, 0)


def test_one_that_waits_is_told_earlier(tmp_path: Path) -> None:
    """A deterministic surrogate search waits for all scores of a stage; nothing hangs."""
    heard = Heard("gp", deterministic=True, initial=4, stage_size=4)
    run(heard, tmp_path, 8)
    assert len(heard.texts) == COUNT and heard.searcher.complete
    assert all(isinstance(TABLE.space.parse(text), Architecture) for text in heard.texts)
