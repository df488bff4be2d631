"""A stage fits, publishes and proposes; proposals of several islands are interleaved."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from archsearch.cluster import PoolError, Reply
from archsearch.searchers.surrogate.stage import Stage


class Pool:
    """Stands for a model pool: notes its calls, and proposes by the seed."""

    def __init__(self, proposals: dict[int, list[tuple[str, float]]], error: Exception | None = None) -> None:
        self.proposals, self.error, self.calls = proposals, error, []

    def fit(self, rows: Any, **options: Any) -> Reply:
        self.calls.append(("fit", rows, options))
        if self.error:
            raise self.error
        return Reply("state", 0, 2.0)

    def publish(self, state: Any) -> int:
        self.calls.append(("publish", state))
        return 1

    def propose(self, n: int, *, seed: int, **options: Any) -> Reply:
        self.calls.append(("propose", n, seed, options))
        texts, predictions = zip(*self.proposals[seed], strict=True)
        return Reply({"architectures": texts, "predictions": predictions, "details": {"seed": seed}}, 1, 1.0 + seed)

    def submit_propose(self, n: int, **options: Any) -> Future[Reply]:
        future: Future[Reply] = Future()
        future.set_result(self.propose(n, **options))
        return future


def test_the_state_is_published_before_the_proposal() -> None:
    pool = Pool({3: [("a", 0.9), ("b", 0.5)]})
    stage = Stage(pool, "rows", {"seed": 1}, 2, {"seed": 3, "best": []})
    assert stage.result() == [("a", 0.9), ("b", 0.5)]
    assert stage.done()
    assert pool.calls == [("fit", "rows", {"seed": 1}), ("publish", "state"), ("propose", 2, 3, {"best": []})]
    assert (stage.fit_seconds, stage.propose_seconds, stage.details) == (2.0, 4.0, {"seed": 3})


def test_islands_have_their_own_seeds_and_their_best_come_first() -> None:
    pool = Pool({0: [("a", 0.9), ("b", 0.5), ("c", 0.1)], 1: [("b", 0.6), ("d", 0.4)]})
    stage = Stage(pool, None, {}, 3, {"seed": 0}, islands=2)
    assert stage.result() == [("a", 0.9), ("b", 0.6), ("d", 0.4), ("c", 0.1)]
    assert stage.propose_seconds == 2.0


def test_the_error_of_a_call_is_that_of_the_stage() -> None:
    stage = Stage(Pool({}, PoolError("the model raised")), None, {}, 1, {"seed": 0})
    stage.wait()
    assert stage.done()
    with pytest.raises(PoolError, match="the model raised"):
        stage.result()
