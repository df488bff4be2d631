"""The one training of a model: when it starts, and that one which failed is started again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from archsearch import spaces
from archsearch.cluster.pool.answer import PoolError, Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.evaluators.proxies import ProxySurrogate
from archsearch.searchers.conformance import SharedPools
from archsearch.searchers.surrogate.fixed_model import FixedModelSearcher

SPACE = spaces.get("nasbench201")


class Untrained(FixedModelSearcher):
    def surrogate(self) -> Callable[[], Any]:
        return lambda: ProxySurrogate(SPACE, ["params"], "digits")


class Trained(Untrained):
    """Its trainings are futures that the tests complete."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._started: list[Future[Reply]] = []

    def start_training(self, pool: ModelPool) -> Future[Reply]:
        self._started.append(Future())
        return self._started[-1]


@pytest.mark.parametrize(("settings", "expected"), [({}, 1), ({"num_candidates": 9}, 1), ({"num_candidates": 3}, 0)])
def test_the_training_starts_with_the_pool_unless_all_candidates_are_random(
    settings: dict[str, Any], expected: int, pools: SharedPools
) -> None:
    searcher = Trained(SPACE, initial=3, pool=pools.name_for(SPACE), **settings)
    searcher.open()
    assert len(searcher._started) == expected
    searcher.close()
    searcher.open()
    assert len(searcher._started) == 2 * expected, "another pool needs another training"
    searcher.close()


def test_a_training_is_started_again_only_if_it_failed(pools: SharedPools) -> None:
    searcher = Trained(SPACE, initial=3, pool=pools.name_for(SPACE))
    searcher.open()
    assert searcher._pool is not None
    train = searcher.training(searcher._pool)
    assert train is not None and train() is searcher._started[0]
    searcher._started[0].set_exception(PoolError("the actor died"))
    second = train()
    assert second is not searcher._started[0]
    second.set_result(Reply("state", 0, 1.0))
    assert train() is second
    assert searcher.__getstate__()["_training"] is None, "a copy in another process starts its own"
    searcher.close()


def test_a_model_may_need_no_training(pools: SharedPools) -> None:
    searcher = Untrained(SPACE, initial=3, pool=pools.name_for(SPACE))
    searcher.open()
    assert searcher._pool is not None and searcher.training(searcher._pool) is None
    assert searcher.can_fit() and not searcher.learns_from_others
    searcher.close()
