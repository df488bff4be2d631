"""A batch whose trial died is suggested again, and the searcher hears of outcomes only."""

from __future__ import annotations

from typing import Any

import pytest
from ray.tune.search import Searcher

from archsearch.cluster.trials.retries import RetryingSearcher
from archsearch.errors import ArchSearchError, RunError
from archsearch.searchers import RandomSearch
from archsearch.spaces import SearchSpace


def result_of(suggestion: dict[str, Any]) -> dict[str, list[Any]]:
    size = len(suggestion["candidates"])
    return {"scores": [0.5] * size, "seconds": [1.0] * size, "errors": [None] * size}


@pytest.fixture
def searcher(space: SearchSpace) -> RandomSearch:
    return RandomSearch(space, num_candidates=6, batch_size=3)


def test_batch_of_a_dead_trial_comes_again_until_it_has_an_outcome(searcher: RandomSearch) -> None:
    begun = {0: 0, 1: 0}
    retrying = RetryingSearcher(searcher, lambda batch: begun[batch], pytest.fail)
    first, second = retrying.suggest("a"), retrying.suggest("b")
    assert isinstance(first, dict) and isinstance(second, dict)
    assert retrying.suggest("c") is None, "the last batches are on their way, and may come again"
    for trial, following in (("a", "d"), ("d", "e"), ("e", "f"), ("f", "g"), ("g", "h"), ("h", "i"), ("i", "j")):
        begun[0] += 1
        retrying.on_trial_complete(trial_id=trial, error=True)
        assert retrying.suggest(following) == first
    assert not searcher.history
    retrying.on_trial_complete(trial_id="b", result=result_of(second))
    retrying.on_trial_complete(trial_id="j", result=result_of(first))
    assert retrying.suggest("k") == Searcher.FINISHED
    assert searcher.complete
    assert [(row.batch, row.evaluation.error) for row in searcher.history] == [(1, None)] * 3 + [(0, None)] * 3


def test_processes_that_die_before_they_begin_stop_the_search(searcher: RandomSearch) -> None:
    reasons: list[ArchSearchError] = []
    retrying = RetryingSearcher(searcher, lambda batch: 2, reasons.append)
    for number in range(7):
        assert not reasons
        retrying.suggest(str(number))
        retrying.on_trial_complete(trial_id=str(number), error=True)
    [reason] = reasons
    assert isinstance(reason, RunError)
    assert "the workers die before they begin: 5 processes of batch 0 did. Is archsearch installed on all nodes" in str(reason)


def test_trial_that_is_stopped_is_not_tried_again(searcher: RandomSearch) -> None:
    retrying = RetryingSearcher(searcher, lambda batch: 1, pytest.fail)
    retrying.suggest("a")
    retrying.on_trial_complete(trial_id="a")  # as when the time is up
    assert [row.evaluation.ok for row in searcher.history] == [False] * 3
    retrying.on_trial_complete(trial_id="never seen", error=True)
    suggestion = retrying.suggest("b")
    assert isinstance(suggestion, dict) and suggestion["batch"] == 1


def test_batch_that_died_with_its_node_says_so_once(searcher: RandomSearch) -> None:
    retrying = RetryingSearcher(searcher, lambda batch: 1, pytest.fail)
    first = retrying.suggest("a")
    assert isinstance(first, dict)
    retrying.on_trial_complete(trial_id="a", error=True)
    retrying.node_lost("a")
    assert retrying.suggest("b") == {**first, "node_lost": True}
    retrying.on_trial_complete(trial_id="b", error=True)
    assert retrying.suggest("c") == first, "this time it was not the node"
