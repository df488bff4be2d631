"""Batches as Ray Tune trials, on a real Ray: each candidate once, through deaths of worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from archsearch.cluster import Ledger, TrialResources, cluster_cpus, run_trials
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
    assert len({entry.batch for entry in entries}) < 20, "cheap candidates share trials"


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


def test_death_of_a_worker_process_costs_what_was_not_recorded_alone(
    make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    first = RandomSearch(space, num_candidates=9, batch_size=3)
    batches = [first.suggest(f"trial{number}") for number in range(3)]
    candidates = [batch["candidates"] for batch in batches if isinstance(batch, dict)]
    slow, deadly_once = candidates[0][:2]
    [deadly, *innocent] = candidates[1]
    evaluator = make_evaluator(seconds={slow: 1.1}, kills={deadly_once: 1, deadly: 1000})

    searcher = RandomSearch(space, num_candidates=9, batch_size=3)
    ledger = run(searcher, evaluator, tmp_path)

    noted = evaluator.noted()
    assert searcher.complete
    assert noted.count(slow) == 1, "it was recorded before the process died"
    assert noted.count(deadly_once) == 2, "it is tried again"
    assert noted.count(deadly) == 3, "it is given up after two retries"
    fine = {*candidates[0], *candidates[2]}
    assert {str(entry.evaluation.architecture) for entry in ledger.entries()} == fine
    outcomes = {str(row.evaluation.architecture): row.evaluation for row in searcher.history}
    assert set(outcomes) == {*fine, deadly, *innocent}
    assert all(outcomes[text].ok for text in fine)
    assert {outcomes[text].error for text in (deadly, *innocent)} == {"the trial died"}
