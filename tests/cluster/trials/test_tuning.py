"""Batches as Ray Tune trials, on a real Ray: each candidate once, through deaths of worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ray.tune.search import Searcher

from archsearch.cluster import Ledger, TrialResources, cluster_cpus, run_trials
from archsearch.errors import DatasetError
from archsearch.evaluators import Evaluator, TabularEvaluator
from archsearch.searchers import ArchitectureSearcher, RandomSearch, RegularizedEvolution
from archsearch.spaces import SearchSpace

pytestmark = pytest.mark.usefixtures("ray_cluster")


def run(searcher: ArchitectureSearcher, evaluator: Evaluator, folder: Path, workers: int = 1) -> Ledger:
    """Run a search; return the ledger that it leaves."""
    searcher.workers = workers
    run_trials(
        searcher,
        evaluator,
        ledger=str(folder / "ledger"),
        run="run",
        folder=folder / "tune",
        workers=workers,
        resources=TrialResources(cpus=1.0 if workers == 1 else 0.5),
    )
    return Ledger(folder / "ledger", evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)


@pytest.fixture
def table(space: SearchSpace) -> TabularEvaluator:
    """All genotypes, scored by how many of their genes are convolutions."""
    texts, scores = [], []
    for index in range(5**6):
        genotype = [index // 5**gene % 5 for gene in range(6)]
        texts.append(str(space.from_genotype(genotype)))
        scores.append(sum(gene in (2, 3) for gene in genotype) / 6)
    return TabularEvaluator(space, pa.table({"architecture": texts, "score": scores, "seconds": [2.0] * len(texts)}), "score")


def test_cluster_has_the_cpus_that_were_asked_for() -> None:
    assert cluster_cpus() == 2
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_each_candidate_is_evaluated_once(table: TabularEvaluator, space: SearchSpace, tmp_path: Path) -> None:
    searcher = RandomSearch(space, seed=1, num_candidates=500)
    ledger = run(searcher, table, tmp_path)
    assert searcher.complete
    entries = ledger.entries("run")
    assert len(entries) == len({entry.evaluation.key for entry in entries}) == 500
    assert {entry.evaluation.key for entry in entries} == {row.evaluation.key for row in searcher.history}
    told = {row.evaluation.key: (row.evaluation.score, row.evaluation.seconds) for row in searcher.history}
    assert told == {entry.evaluation.key: (entry.evaluation.score, 2.0) for entry in entries}
    assert len({entry.batch for entry in entries}) < 100, "cheap candidates share trials, as far as the machine is not held up"


@pytest.mark.slow
def test_number_of_workers_does_not_matter_when_deterministic(
    table: TabularEvaluator, space: SearchSpace, tmp_path: Path
) -> None:
    found = []
    for workers in (1, 3):
        settings = {"num_candidates": 48, "batch_size": 4, "deterministic": True}
        searcher = RegularizedEvolution(space, 2, population_size=12, tournament_size=4, **settings)
        entries = run(searcher, table, tmp_path / str(workers), workers).entries("run")
        rows = [(entry.batch, entry.position, entry.evaluation.key, entry.evaluation.score) for entry in entries]
        found.append(sorted(rows))
    assert len(found[0]) == 48
    assert found[0] == found[1]


@pytest.mark.slow
def test_candidate_that_kills_its_process_fails_alone(
    make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    batches = proposed(RandomSearch(space, num_candidates=20, batch_size=10))
    slow, deadly_once = batches[0][:2]
    deadly = batches[1][3]
    evaluator = make_evaluator(seconds={slow: 1.1}, kills={deadly_once: 1, deadly: 1000})

    searcher = RandomSearch(space, num_candidates=20, batch_size=10)
    ledger = run(searcher, evaluator, tmp_path)

    noted = evaluator.noted()
    assert searcher.complete
    assert noted.count(slow) == 1, "it was recorded before the process died"
    assert noted.count(deadly_once) == 2, "one death may have another cause"
    assert noted.count(deadly) in (2, 3), "twice alone, and before that perhaps as one of several"
    recorded = {str(entry.evaluation.architecture): entry.evaluation.error for entry in ledger.entries("run")}
    assert set(recorded) == {text for batch in batches for text in batch}
    assert [text for text, error in recorded.items() if error] == [deadly], "all others are evaluated"
    assert "killed its process 2 times" in str(recorded[deadly])
    assert {str(row.evaluation.architecture): row.evaluation.error for row in searcher.history} == recorded
    assert not list((tmp_path / "ledger").rglob("*.json")), "the notes of the tries are gone"


@pytest.mark.slow
def test_process_that_dies_between_two_batches_costs_nothing(
    make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    batches = proposed(RandomSearch(space, num_candidates=12, batch_size=2))
    # So long after its last candidate, a process is about to be prepared for its next batch.
    evaluator = make_evaluator(dies_after={batches[1][-1]: 0.02, batches[3][-1]: 0.05})
    searcher = RandomSearch(space, num_candidates=12, batch_size=2)
    ledger = run(searcher, evaluator, tmp_path)
    assert {str(entry.evaluation.architecture) for entry in ledger.entries()} == {text for batch in batches for text in batch}
    assert [row.evaluation.error for row in searcher.history] == [None] * 12
    assert len(evaluator.noted()) <= 12 + 2 * 2, "what was recorded is not evaluated again"


def test_error_that_all_candidates_would_meet_stops_the_search(
    make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    searcher = RandomSearch(space, num_candidates=200, batch_size=2)
    evaluator = make_evaluator(breaks=proposed(searcher)[3][0])
    with pytest.raises(DatasetError, match="the disk with the images has gone"):
        run(RandomSearch(space, num_candidates=200, batch_size=2), evaluator, tmp_path)
    recorded = Ledger(tmp_path / "ledger", space, evaluator.fingerprint()).entries()
    assert [entry.evaluation.error for entry in recorded] == [None] * 6, "nothing is recorded as failed for it"


def proposed(searcher: ArchitectureSearcher) -> list[list[str]]:
    """Return the candidates of a search in which no outcome matters, by batch."""
    suggestions = iter(lambda: searcher.suggest(str(searcher.num_proposed)), Searcher.FINISHED)
    return [suggestion["candidates"] for suggestion in suggestions if isinstance(suggestion, dict)]
