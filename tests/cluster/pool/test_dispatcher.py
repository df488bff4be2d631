"""Deaths of actors, at random moments and by candidates, fits and states: answers stay complete, and no call hangs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import ray
from ray import cloudpickle

from archsearch.cluster import Answer, ModelPool, PoolError
from archsearch.cluster.pool import newest_state
from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.evaluators.surrogate import Surrogate

LONG = pytest.mark.long


class Mortal(Surrogate):
    """Multiplies the number in a candidate's string by that of the state; some candidates, states and fits end the process."""

    number = 0.0

    def load(self, state: Any) -> None:
        if state.get("kills"):
            os._exit(1)
        self.number = state["number"]

    def evaluate(self, architectures: Any, seconds: float = 0.0) -> Any:
        scores = []
        for text in architectures:
            if text == "dies":
                os._exit(1)
            if text == "hangs":
                time.sleep(3600)
            time.sleep(seconds)
            scores.append(self.number * float(text))
        return {"score": scores, "process": np.full(len(scores), os.getpid())}

    def fit(self, rows: Any) -> Any:
        time.sleep(rows)
        if rows < 0.1:
            os._exit(1)
        return {"number": self.number + 1}


@pytest.fixture(scope="module", autouse=True)
def cluster(no_ray: None) -> Iterator[None]:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    yield
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def pool(cluster: None) -> Iterator[ModelPool]:
    with ModelPool.start(Mortal, actors=2, cpus=0.1, chunk_seconds=0.1) as made:
        yield made


@pytest.fixture
def fresh(pool: ModelPool, request: pytest.FixtureRequest) -> Iterator[ModelPool]:
    """A handle of the same actors with a new branch."""
    handle = ModelPool.attach(pool.name, branch=request.node.name.replace("[", "-").rstrip("]"))
    yield handle
    handle.close()


def kill_at_random(pool: ModelPool, rng: np.random.Generator, future: Future[Answer]) -> int:
    """Kill random actors of the pool, and sometimes its registry, until a call is answered; return the number of those killed."""
    kills = 0
    while not future.done():
        time.sleep(rng.uniform(0.1, 1.0))
        name = pool.name if rng.random() < 0.2 else f"{pool.name}-{rng.integers(pool.actors)}"
        actor = ray.get_actor(name, namespace=NAMESPACE)
        try:  # answered between two chunks, so that the kill comes at any moment of the next one
            process = ray.get(actor.__ray_call__.remote(lambda self: os.getpid()), timeout=20)
            time.sleep(rng.uniform(0.0, 0.1))
            os.kill(process, signal.SIGKILL)
            kills += name != pool.name
        except (ray.exceptions.RayError, ProcessLookupError):
            continue  # it is being restarted
    return kills


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), *(pytest.param(seed, marks=LONG) for seed in range(2, 20))]
)
def test_kills_at_random_moments_lose_and_change_nothing(fresh: ModelPool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fresh.publish({"number": 1.0})
    assert fresh.publish({"number": 2.0}) == 2
    total = 0
    while total < 2:
        future = fresh.submit_evaluate([str(number) for number in range(200)], seconds=0.015)
        total += (kills := kill_at_random(fresh, rng, future))
        answer = future.result(timeout=200)
        # One kill among several candidates, and two while it was alone, are all that a candidate can be set aside for.
        assert len(answer.errors) <= max(0, kills - 1) // 2
        assert set(answer.errors.values()) <= {"killed its actor 2 times; set aside"}
        fine = np.setdiff1d(np.arange(200), list(answer.errors))
        np.testing.assert_array_equal(answer.values[fine], 2.0 * fine)
        assert set(answer.versions[fine]) == {2}
    assert fresh.publish({"number": 3.0}) == 3, "versions begin again"
    assert set(fresh.evaluate(["1"] * 10).values) == {3.0}


def test_candidate_that_kills_is_set_aside_and_the_others_are_answered(fresh: ModelPool) -> None:
    fresh.publish({"number": 2.0})
    texts = [str(number) for number in range(40)]
    texts[20] = "dies"
    answer = fresh.evaluate(texts, seconds=0.01)
    assert answer.errors == {20: "killed its actor 2 times; set aside"}
    expected = np.where(np.arange(40) == 20, np.nan, 2.0 * np.arange(40))
    np.testing.assert_array_equal(answer.values, expected)
    assert answer.versions.tolist() == [-1 if number == 20 else 1 for number in range(40)]
    assert 2 <= fresh.counts.deaths <= 10, "few find it; one that a slow registry does not confirm blames nobody"


@LONG
def test_candidates_of_another_search_are_not_blamed(pool: ModelPool) -> None:
    """Costly candidates are sent one by one, so any that is with an actor killed by another search could be blamed."""
    found: dict[str, Answer] = {}

    def search(name: str, texts: list[str]) -> None:
        with ModelPool.attach(pool.name, branch=name) as mine:
            found[name] = mine.evaluate(texts, seconds=0.15)

    searches = [
        threading.Thread(target=search, args=("clumsy", ["1", "dies", "2"])),
        threading.Thread(target=search, args=("innocent", [str(number) for number in range(24)])),
    ]
    for thread in searches:
        thread.start()
    for thread in searches:
        thread.join(timeout=200)
    assert list(found["clumsy"].errors) == [1]
    assert not found["innocent"].errors
    assert not np.isnan(found["innocent"].values).any()


def test_a_fit_is_retried_when_its_actor_dies(fresh: ModelPool) -> None:
    fresh.publish({"number": 5.0})
    process = fresh.evaluate(["1"]).columns["process"][0]
    futures = [fresh.submit_fit(2.0), fresh.submit_fit(2.0)]  # both actors are busy
    time.sleep(0.5)
    os.kill(int(process), signal.SIGKILL)
    assert [future.result(timeout=200).value for future in futures] == [{"number": 6.0}] * 2
    assert fresh.evaluate(["1"]).values.tolist() == [5.0]


def test_a_restarted_registry_gets_the_newest_state_back(fresh: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_state, "_MOST_SECONDS_UNSURE", 200.0)  # on a busy machine the restart may take long
    for number in (1.0, 2.0, 3.0):
        fresh.publish({"number": number})
    registry = ray.get_actor(fresh.name, namespace=NAMESPACE)
    os.kill(ray.get(registry.__ray_call__.remote(lambda self: os.getpid())), signal.SIGKILL)
    with ModelPool.attach(fresh.name, fresh.branch) as newcomer:  # has no state, and must not be answered by a new model
        answer = newcomer.evaluate(["1", "2"])
    assert (answer.values.tolist(), answer.versions.tolist()) == ([3.0, 6.0], [3, 3])
    assert fresh.publish({"number": 4.0}) == 4


@LONG
def test_candidate_that_hangs_is_set_aside() -> None:
    with ModelPool.start(Mortal, cpus=0.1, hang_seconds=1.5, chunk_size=2) as pool:
        answer = pool.evaluate(["1", "hangs", "2"])
        assert answer.errors == {1: "killed its actor 2 times; set aside"}
        assert answer.values[[0, 2]].tolist() == [0.0, 0.0]


@LONG
def test_a_state_that_kills_actors_fails_all_calls() -> None:
    with ModelPool.start(Mortal, cpus=0.1) as pool:
        pool.publish({"kills": True})
        with pytest.raises(PoolError, match="all its actors are gone \\(it died 3 times before its first call"):
            pool.evaluate(["1"] * 100)
        with pytest.raises(PoolError, match="all its actors are gone"):
            pool.evaluate(["1"])


@LONG
def test_fit_that_kills_fails_after_two_deaths(fresh: ModelPool) -> None:
    fresh.publish({"number": 5.0})
    with pytest.raises(PoolError, match="fit: its actor died 2 times"):
        fresh.fit(0.0)
    assert fresh.evaluate(["1"]).values.tolist() == [5.0]


@LONG
def test_a_model_that_kills_actors_for_any_input_fails_the_call() -> None:
    with ModelPool.start(Mortal, actors=2, cpus=0.1) as pool:
        with pytest.raises(PoolError, match="died 12 times without an answer in between"):
            pool.evaluate(["dies"] * 10_000)
        assert pool.evaluate(["1"]).values.tolist() == [0.0]
