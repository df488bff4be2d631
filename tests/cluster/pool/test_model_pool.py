"""Calls to models in actors: order of answers, versions of states, and handles of other processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray import cloudpickle

from archsearch.cluster import Answer, ModelPool, PoolError
from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.errors import ConfigurationError
from archsearch.evaluators.surrogate import Surrogate
from archsearch.spaces import get
from archsearch.spaces.graph import GraphBatch


class Multiplier(Surrogate):
    """Multiplies by the number of its state, so that a score identifies its state; 0 without one."""

    def __init__(self, gate: Path | None = None) -> None:
        self.number, self.gate = 0.0, gate

    def load(self, state: Any) -> None:
        self.number = state["number"]

    def score(self, batch: Any, seconds: float = 0.0, offset: float = 0.0, wrongly: str = "") -> Any:
        while self.gate and not self.gate.exists():
            time.sleep(0.01)
        if wrongly:
            return ["good"] * len(batch) if wrongly == "words" else np.zeros(len(batch) + 1)
        if isinstance(batch, dict):
            batch = batch["graphs"].operators.sum(axis=(1, 2)) + batch["numbers"]
        elif isinstance(batch, GraphBatch):
            batch = batch.operators.sum(axis=(1, 2))
        time.sleep(seconds * len(batch))
        return self.number * np.asarray(batch, dtype=float) + offset

    def evaluate(self, architectures: Any, room: int = 10_000) -> Any:
        if "bad" in architectures:
            raise ValueError("bad is bad\nsecond line")
        if len(architectures) > room or "huge" in architectures:
            raise MemoryError("no room")
        number = len(architectures)
        time.sleep(0.001 * number)
        return {
            "score": [float(len(text)) for text in architectures],
            "process": np.full(number, os.getpid()),
            "chunk": np.full(number, number),
            "threads": np.full(number, int(os.environ["OMP_NUM_THREADS"])),
            "gpu": np.full(number, int((ray.get_gpu_ids() or [-1])[0])),
        }

    def fit(self, rows: Any, fail: bool = False) -> Any:
        started_from, self.number = self.number, 1e9
        if fail:
            raise ValueError("rows are useless")
        return {"number": started_from + sum(rows)}

    def propose(self, n: int, seed: int = 0) -> Any:
        return [f"{self.number}:{seed}:{index}" for index in range(n)]


class Parts:
    """A batch that notes how often a part was cut out of it, which is when it is sent."""

    def __init__(self, size: int) -> None:
        self.values, self.cuts = np.arange(size, dtype=float), 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> Any:
        if rows.stop is not None:
            self.cuts += 1
        return self.values[rows]


@pytest.fixture(scope="module", autouse=True)
def cluster(no_ray: None) -> Iterator[None]:
    """A Ray cluster that claims two GPUs."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init("local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=10**8)
    yield
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def pool(cluster: None) -> Iterator[ModelPool]:
    with ModelPool.start(Multiplier, actors=2, cpus=0.1) as made:
        yield made


@pytest.fixture
def fresh(pool: ModelPool, request: pytest.FixtureRequest) -> Iterator[ModelPool]:
    """A handle of the same actors with a new branch."""
    handle = ModelPool.attach(pool.name, branch=request.node.name)
    yield handle
    handle.close()


def eventually(condition: Callable[[], bool]) -> bool:
    """Return whether a condition is met within two minutes, since a busy machine is slow."""
    deadline = time.monotonic() + 120
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met


def processes(answer: Answer) -> int:
    """Return the number of processes that have answered."""
    return len(set(answer.columns["process"]))


# Figures


def test_figures_are_in_the_order_of_the_candidates(fresh: ModelPool) -> None:
    fresh.publish({"number": 2})
    values = np.random.default_rng(0).normal(size=5_000)
    for _ in range(3):  # chunks grow
        answer = fresh.score(values)
        np.testing.assert_array_equal(answer.values, 2 * values)
        assert set(answer.versions) == {1}
        assert not answer.errors
    assert len(fresh.score(values[:0])) == 0
    np.testing.assert_array_equal(fresh.score(values.reshape(-1, 5)).values, 2 * values.reshape(-1, 5))
    np.testing.assert_array_equal(fresh.score(list(values), offset=1.0).values, 2 * values + 1)


def test_arrays_by_name_and_populations_are_cut_as_well(fresh: ModelPool) -> None:
    fresh.publish({"number": 1})
    space, rng = get("nasbench201"), np.random.default_rng(0)
    graphs = space.encode([space.sample(rng) for _ in range(50)])
    expected = graphs.operators.sum(axis=(1, 2))
    np.testing.assert_array_equal(fresh.score(graphs).values, expected)
    numbers = rng.normal(size=50)
    np.testing.assert_array_equal(fresh.score({"graphs": graphs, "numbers": numbers}).values, expected + numbers)


def test_work_is_shared_and_columns_are_kept(fresh: ModelPool) -> None:
    texts = ["x" * (number % 9) for number in range(300)]
    answers = [fresh.evaluate(texts)]
    assert eventually(lambda: answers.append(fresh.evaluate(texts)) or processes(answers[-1]) == 2)
    for answer in answers:
        np.testing.assert_array_equal(answer.values, [len(text) for text in texts])
        assert set(answer.columns) == {"score", "process", "chunk", "threads", "gpu"}
        assert set(answer.columns["threads"]) == {1}


def test_candidate_for_which_the_model_raises_is_set_aside(fresh: ModelPool) -> None:
    texts = ["fine"] * 500
    texts[123] = texts[400] = "bad"
    answer = fresh.evaluate(texts)
    assert answer.errors == {123: "ValueError: bad is bad", 400: "ValueError: bad is bad"}
    assert np.flatnonzero(np.isnan(answer.values)).tolist() == [123, 400]
    assert np.flatnonzero(answer.versions < 0).tolist() == [123, 400]


def test_chunks_are_halved_when_memory_runs_out(pool: ModelPool) -> None:
    with_little_memory = ModelPool.attach(pool.name, "memory")
    texts = [str(number) for number in range(400)]

    def was_refused() -> bool:
        answer = with_little_memory.evaluate(texts, room=20)
        np.testing.assert_array_equal(answer.values, [len(text) for text in texts])
        assert answer.columns["chunk"].max() <= 20
        return with_little_memory.counts.refusals > 0

    assert eventually(was_refused), "chunks grow as fast as the machine is"
    refusals = with_little_memory.counts.refusals
    answer = with_little_memory.evaluate([*texts, "huge"], room=20)
    assert answer.errors == {400: "MemoryError: no room"}
    assert with_little_memory.counts.refusals - refusals <= 6, "later chunks are still too large"
    with_little_memory.close()


# Futures


def test_asynchronous_call_waits_for_nothing_and_few_chunks_are_on_their_way(tmp_path: Path) -> None:
    gate, batches = tmp_path / "gate", [Parts(40), Parts(40)]
    with ModelPool.start(lambda: Multiplier(gate), actors=2, cpus=0.1, chunk_size=1) as pool:
        futures = [pool.submit_score(batch) for batch in batches]
        assert eventually(lambda: pool.counts.most_in_flight == 2)
        time.sleep(0.5)
        assert not any(future.done() for future in futures)
        assert 0 < sum(batch.cuts for batch in batches) <= 2 * 2, "more than two chunks an actor were sent"
        assert futures[0].cancel()
        gate.touch()
        assert futures[1].result().values.tolist() == [0.0] * 40
        assert pool.counts.most_in_flight == 2
        assert batches[0].cuts <= 2 * 2, "the cancelled call was worked off"


def test_small_call_does_not_wait_for_a_large_one(fresh: ModelPool) -> None:
    large = fresh.submit_score(np.zeros(50_000), seconds=0.02)  # minutes of work
    assert fresh.score(np.ones(3)).values.tolist() == [0.0] * 3
    assert not large.done()
    large.cancel()


# States


def test_each_figure_has_the_version_of_its_state(pool: ModelPool) -> None:
    chunked = ModelPool.attach(pool.name, "versions")
    batch = np.arange(1.0, 201.0)
    assert set(chunked.score(batch, seconds=0.005).versions) == {0}
    assert [chunked.publish({"number": number}) for number in (1, 2)] == [1, 2]
    assert set(chunked.score(batch, seconds=0.005).versions) == {2}
    published = 2

    def taken_in_the_middle() -> bool:
        nonlocal published
        running, before = chunked.submit_score(batch, seconds=0.005), published
        while not running.done():
            published = chunked.publish({"number": published + 1})
            time.sleep(0.05)
        answer = running.result()
        np.testing.assert_array_equal(answer.values, batch * answer.versions)
        assert answer.versions.min() >= before
        return len(set(answer.versions)) > 1

    assert eventually(taken_in_the_middle), "no state was taken in the middle of a call"
    assert set(chunked.score(batch).versions) == {published}
    chunked.close()


def test_state_that_another_process_published_answers_the_next_call(fresh: ModelPool) -> None:
    @ray.remote(num_cpus=0)
    def publish(handle: ModelPool, number: float) -> int:
        return handle.publish({"number": number})

    for version, number in ((1, 5.0), (2, 7.0)):
        assert ray.get(publish.remote(fresh, number)) == version
        answer = fresh.score(np.ones(50))
        assert set(answer.values) == {number}
        assert set(answer.versions) == {version}


def test_two_searches_share_actors_but_not_states(pool: ModelPool) -> None:
    found: dict[int, list[Any]] = {}

    def search(number: int) -> None:
        with ModelPool.attach(pool.name, branch=f"search{number}") as mine:
            for version in range(1, 6):
                mine.publish({"number": 100 * number + version})
                found.setdefault(number, []).append(mine.score(np.ones(64), seconds=0.001))

    searches = [threading.Thread(target=search, args=(number,)) for number in (1, 2)]
    for thread in searches:
        thread.start()
    for thread in searches:
        thread.join()
    for number in (1, 2):
        assert [set(answer.values) for answer in found[number]] == [{100.0 * number + version} for version in range(1, 6)]
        assert [set(answer.versions) for answer in found[number]] == [{version} for version in range(1, 6)]


# Fits and proposals


def test_fit_starts_from_the_published_state_and_changes_no_answer(fresh: ModelPool) -> None:
    assert fresh.fit([1, 2]).value == {"number": 3}
    assert fresh.score([1.0]).values.tolist() == [0.0]
    assert fresh.publish({"number": 10}) == 1
    reply = fresh.fit([1, 2])
    assert (reply.value, reply.version) == ({"number": 13}, 1)
    assert reply.seconds >= 0
    assert set(fresh.score(np.ones(100)).values) == {10.0}
    fresh.publish(reply.value)
    assert set(fresh.score(np.ones(100)).values) == {13.0}


def test_proposals_come_from_the_newest_state(fresh: ModelPool) -> None:
    fresh.publish({"number": 4})
    futures = [fresh.submit_propose(2, seed=seed) for seed in range(3)]
    assert [future.result().value for future in futures] == [[f"4:{seed}:0", f"4:{seed}:1"] for seed in range(3)]
    assert {future.result().version for future in futures} == {1}


def test_failed_fit_says_why_and_leaves_the_model_usable(fresh: ModelPool) -> None:
    with pytest.raises(PoolError, match="fit: the model raised ValueError: rows are useless"):
        fresh.fit([1], fail=True)
    assert fresh.score([1.0]).values.tolist() == [0.0]


# Models that cannot be used


@pytest.mark.parametrize(
    ("wrongly", "message"), [("long", "expected figures for the 1 candidates"), ("words", "expected numbers in `score`")]
)
def test_invalid_figures_fail_the_call(fresh: ModelPool, wrongly: str, message: str) -> None:
    with pytest.raises(PoolError, match=message):
        ModelPool.attach(fresh.name, "new").score([1, 2, 3], wrongly=wrongly)
    assert fresh.score([1.0]).values.tolist() == [0.0]


def test_method_that_the_model_lacks_fails_the_call() -> None:
    class Lazy(Surrogate):
        pass

    with ModelPool.start(Lazy, cpus=0.1) as pool, pytest.raises(PoolError, match="Lazy has no such method; define it"):
        pool.score([1, 2, 3])


def test_bad_state_fails_calls_until_a_good_one_comes(fresh: ModelPool) -> None:
    fresh.publish({"nummer": 1})
    with pytest.raises(PoolError, match="the model cannot be used \\(KeyError"):
        fresh.score([1.0, 2.0])
    assert fresh.publish({"number": 3}) == 2
    assert fresh.score([1.0, 2.0]).values.tolist() == [3.0, 6.0]
    with pytest.raises(PoolError, match="state: it cannot be sent"):
        fresh.publish(threading.Lock())


def test_argument_that_cannot_be_sent_fails_its_call_alone(fresh: ModelPool) -> None:
    with pytest.raises(PoolError, match="score: its argument cannot be sent"):
        fresh.score([threading.Lock()])
    assert fresh.score([1.0]).values.tolist() == [0.0]


# Making and finding


def test_actors_share_gpus_and_set_threads() -> None:
    with ModelPool.start(Multiplier, actors=4, gpus=0.5, threads=3, chunk_size=1) as pool:
        answers = [pool.evaluate(["x"] * 40)]
        assert eventually(lambda: answers.append(pool.evaluate(["x"] * 40)) or processes(answers[-1]) == 4)
        columns = answers[-1].columns
        where = set(zip(columns["process"], columns["gpu"], strict=True))
        assert sorted(gpu for _, gpu in where) == [0, 0, 1, 1]
        assert set(columns["threads"]) == {3}
        with pytest.raises(PoolError, match="none was ready in 1 seconds. Each of the 1 needs 0 CPUs and 0.5 GPUs"):
            ModelPool.start(Multiplier, gpus=0.5, start_seconds=1)


def test_slow_start_is_not_called_lack_of_room() -> None:
    with pytest.raises(PoolError, match="none was ready in 0 seconds. The cluster has room for one: its process"):
        ModelPool.start(Multiplier, cpus=0.0, start_seconds=0.01)


def test_pickled_pool_is_its_name() -> None:
    with ModelPool.start(Multiplier, name="by.name-1", cpus=0.1) as pool:
        pool.publish({"number": 6})
        pickled = pickle.dumps(pool)
        assert len(pickled) < 200
        found = pickle.loads(pickled)
        assert (found.name, found.branch, found.actors) == ("by.name-1", "main", 1)
        assert found.score([1.0]).values.tolist() == [6.0]
        with pytest.raises(PoolError, match="a pool 'by.name-1' is in this cluster already"):
            ModelPool.start(Multiplier, name="by.name-1", cpus=0.1)
        open_call = found.submit_score(np.zeros(100), seconds=0.1)
    for handle, message in ((pool, "this handle was closed"), (found, "was shut down|are gone")):
        with pytest.raises(PoolError, match=message):
            handle.score([1.0])
    with pytest.raises(PoolError):
        open_call.result(timeout=200)
    with pytest.raises(PoolError, match="no model pool 'by.name-1' is in this cluster"):
        ModelPool.attach("by.name-1")


PUBLISHER = """
import sys
import ray
from archsearch.cluster import ModelPool, connect

class Model:
    number = 0
    def load(self, state): self.number = state["number"]
    def score(self, batch, die=False):
        import os
        if die: os._exit(1)
        return [self.number * value for value in batch]

connect(sys.argv[1])
pool = ModelPool.start(Model, name="shared", shared=True, cpus=0.1)
assert pool.publish({"number": 8}) == 1
assert pool.score([1, 2]).values.tolist() == [8, 16]
"""


@pytest.mark.slow
def test_shared_pool_and_its_state_outlive_their_maker() -> None:
    address = ray.get_runtime_context().gcs_address
    subprocess.run([sys.executable, "-c", PUBLISHER, address], check=True, timeout=240)
    pool = ModelPool.attach("shared")
    answer = pool.score([1, 2])
    assert (answer.values.tolist(), answer.versions.tolist()) == ([8, 16], [1, 1])
    assert pool.score([1], die=True).errors == {0: "killed its actor 2 times; set aside"}
    answer = pool.score([1, 2])  # a new process has loaded the state again
    assert (answer.values.tolist(), answer.versions.tolist()) == ([8, 16], [1, 1])
    with pytest.raises(PoolError, match="runs with other settings"):
        ModelPool.start(Multiplier, name="shared", shared=True, cpus=0.2)
    with ModelPool.start(Multiplier, name="shared", shared=True, cpus=0.1) as joined:
        assert joined.score([1, 2]).values.tolist() == [8, 16]
    pool.close()
    again = ModelPool.attach("shared")
    assert again.publish({"number": 9}) == 2
    again.shutdown()
    with pytest.raises(PoolError, match="no model pool 'shared'"):
        ModelPool.attach("shared")


class Heavy(Multiplier):
    """A model that is made of a megabyte."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.number = float(len(content))


def test_a_heavy_model_of_a_private_pool_is_made_again_after_the_death_of_its_actor() -> None:
    with ModelPool.start(partial(Heavy, b"x" * 1_000_000), cpus=0.1) as private:
        assert private.score([1.0]).values.tolist() == [1e6]
        ray.kill(ray.get_actor(f"{private.name}-0", namespace=NAMESPACE), no_restart=False)
        assert private.score([2.0]).values.tolist() == [2e6]


def test_model_that_cannot_be_made_stops_the_start() -> None:
    with pytest.raises(PoolError, match="it cannot be made in an actor \\(ZeroDivisionError"):
        ModelPool.start(lambda: 1 / 0, cpus=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"actors": 0}, "actors: expected a whole number of at least 1; got 0"),
        ({"threads": True}, "threads: expected a whole number"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"chunk_seconds": 0}, "chunk_seconds: expected more than 0 seconds"),
        ({"hang_seconds": -1}, "hang_seconds"),
        ({"gpus": -0.5}, "gpus: expected at least 0"),
        ({"name": "a b"}, "name: expected letters"),
        ({"model": partial(Multiplier, Path("x" * 100_000)), "shared": True}, "send weights through publish"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ModelPool.start(**{"model": Multiplier, **settings})


def test_a_single_string_is_refused_as_a_batch(fresh: ModelPool) -> None:
    with pytest.raises(ConfigurationError, match="Put it into a list"):
        fresh.evaluate("one text")
