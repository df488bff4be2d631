"""A batch is evaluated once, and recorded as it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch.cluster import Ledger, evaluate_batch
from archsearch.errors import ArchitectureError
from archsearch.spaces import Architecture, SearchSpace


@pytest.fixture
def ledger(make_evaluator: Callable[..., Any], tmp_path: Path) -> Ledger:
    evaluator = make_evaluator()
    return Ledger(tmp_path / "ledger", evaluator.space, evaluator.fingerprint())


def test_each_candidate_is_evaluated_and_recorded_in_order(
    ledger: Ledger, make_evaluator: Callable[..., Any], architectures: list[Architecture]
) -> None:
    evaluator, candidates = make_evaluator(), [str(architecture) for architecture in architectures]
    evaluations = evaluate_batch(evaluator, ledger, "run", 0, candidates)
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates == evaluator.noted()
    assert [entry.evaluation for entry in ledger.entries("run", 0)] == evaluations
    assert [entry.position for entry in ledger.entries("run", 0)] == list(range(12))
    assert evaluate_batch(evaluator, ledger, "run", 1, []) == []


def test_what_an_earlier_try_recorded_is_not_evaluated_again(
    ledger: Ledger, make_evaluator: Callable[..., Any], architectures: list[Architecture]
) -> None:
    evaluator, candidates = make_evaluator(), [str(architecture) for architecture in architectures]
    done = [(place, evaluator.evaluate([architectures[place]])[0]) for place in (0, 5, 11)]
    ledger.append("run", 3, done)
    evaluations = evaluate_batch(evaluator, ledger, "run", 3, candidates)
    assert [str(evaluation.architecture) for evaluation in evaluations] == candidates
    assert sorted(evaluator.noted()) == sorted(candidates), "each candidate once"
    assert evaluate_batch(evaluator, ledger, "run", 3, candidates) == evaluations
    assert len(evaluator.noted()) == 12


def test_records_of_other_batches_and_other_candidates_do_not_count(
    ledger: Ledger, make_evaluator: Callable[..., Any], architectures: list[Architecture]
) -> None:
    evaluator, candidates = make_evaluator(), [str(architecture) for architecture in architectures[:4]]
    first = evaluator.evaluate(architectures[:4])
    ledger.append("run", 1, list(enumerate(first)))
    ledger.append("another", 0, list(enumerate(first)))
    ledger.append("run", 0, list(enumerate(evaluator.evaluate(architectures[4:12]))))
    before = len(evaluator.noted())
    evaluate_batch(evaluator, ledger, "run", 0, candidates)
    assert evaluator.noted()[before:] == candidates


def test_dear_candidates_are_recorded_on_the_way(
    ledger: Ledger, make_evaluator: Callable[..., Any], architectures: list[Architecture], tmp_path: Path
) -> None:
    # The third candidate fails in a way that takes the process along; here, an exception of the batch stands for it.
    candidates = [str(architecture) for architecture in architectures[:2]]
    evaluator = make_evaluator(seconds=dict.fromkeys(candidates, 0.6))
    with pytest.raises(ArchitectureError):
        evaluate_batch(evaluator, ledger, "run", 0, [*candidates, "no architecture"])
    assert [str(entry.evaluation.architecture) for entry in ledger.entries("run", 0)] == candidates


def test_cheap_candidates_make_one_part(
    ledger: Ledger, make_evaluator: Callable[..., Any], space: SearchSpace, tmp_path: Path
) -> None:
    candidates = [str(space.from_genotype([1, 2, 3, first, second, 4])) for first in range(5) for second in range(5)]
    evaluate_batch(make_evaluator(), ledger, "run", 0, candidates)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
