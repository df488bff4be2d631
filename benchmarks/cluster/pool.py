"""What a pool of resident models costs and gains, beside the bare model.

    python benchmarks/pool.py                     # all sections; some five minutes
    python benchmarks/pool.py --only throughput   # one section; may be repeated

All figures are of one run on one machine; compare the ratios. The machine should have two idle cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ray.tune.search import Searcher

from archsearch import spaces
from archsearch.cluster import ModelPool, TrialResources, connect, run_trials
from archsearch.evaluators import TabularEvaluator
from archsearch.evaluators.surrogate import Surrogate
from archsearch.searchers import GATESEvolution
from archsearch.spaces.graph import GraphBatch
from archsearch.spaces.nasbench201 import NASBench201

CANDIDATES = 10_000
ROUNDS = 15
SWITCHES = 1_000
LAYERS = 4


class GraphNetwork(Surrogate):
    """A small graph convolution network over nodes, as predictors are: compute-bound, one thread."""

    def __init__(self, width: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.randn(8, width, generator=generator)
        self.weights = [torch.randn(width, width, generator=generator) / width**0.5 for _ in range(LAYERS)]

    def score(self, batch: GraphBatch) -> np.ndarray:
        parts = [self._score(batch[start : start + 256]) for start in range(0, len(batch), 256)]
        return torch.cat(parts).numpy()

    def _score(self, batch: GraphBatch) -> torch.Tensor:
        nodes = self.embedding[torch.tensor(batch.operators[:, 0], dtype=torch.long)]
        edges = torch.tensor(batch.adjacency[:, 0], dtype=torch.float32).transpose(1, 2)
        for weight in self.weights:
            nodes = torch.relu(nodes + edges @ (nodes @ weight)) / 2
        return nodes.mean(dim=(1, 2))


class Multiplier(Surrogate):
    """Multiplies by the number of the state, so that a score tells which state gave it; candidates take time by sleeping."""

    number, seconds = 0, 1e-4

    def load(self, state: Any) -> None:
        time.sleep(0.005)
        self.number = state["number"]

    def score(self, batch: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds * len(batch))
        return batch * float(self.number)


class Sleeper(Surrogate):
    """Takes so many seconds a candidate, without work."""

    def score(self, batch: np.ndarray) -> np.ndarray:
        time.sleep(float(batch.sum()))
        return np.zeros(len(batch))


def candidates() -> GraphBatch:
    """Return random cells as arrays."""
    space, rng = spaces.get("nasbench201"), np.random.default_rng(0)
    return space.encode([space.sample(rng) for _ in range(CANDIDATES)])


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


_side: dict[str, Any] = {}


def _begin_side(width: int, batch: GraphBatch) -> None:
    torch.set_num_threads(1)
    _side.update(model=GraphNetwork(width), batch=batch)
    _score_side(0)


def _score_side(_: int) -> None:
    _side["model"].score(_side["batch"])


def throughput() -> None:
    """One actor beside the bare model, two beside one, and two bare processes beside one: the machine's own limit.

    The ways take turns, and ratios are of neighbours, so that other work on the machine weighs on all alike.
    """
    batch = candidates()
    for width in (64, 256):
        _throughput(width, batch)


def _throughput(width: int, batch: GraphBatch) -> None:
    seconds: dict[str, list[float]] = {}
    model, context = partial(GraphNetwork, width), multiprocessing.get_context("spawn")
    with (
        ModelPool.start(model, actors=1, cpus=0) as one,
        ModelPool.start(model, actors=2, cpus=0) as two,
        context.Pool(2, _begin_side, [width, batch]) as side,
    ):
        cold = seconds_of(lambda: one.score(batch))
        ways: dict[str, Callable[[], Any]] = {
            "bare": lambda: side.map(_score_side, [0], chunksize=1),
            "one": lambda: one.score(batch),
            "two": lambda: two.score(batch),
            "two bare": lambda: side.map(_score_side, [0, 1], chunksize=1),
        }
        for _ in range(ROUNDS):
            for name, way in ways.items():
                seconds.setdefault(name, []).append(seconds_of(way))
    _print_throughput(width, seconds, cold)


def _print_throughput(width: int, seconds: dict[str, list[float]], cold: float) -> None:
    def ratio(name: str, base: str, work: int = 1) -> float:
        pairs = zip(seconds[name], seconds[base], strict=True)
        return statistics.median(work * reference / own for own, reference in pairs)

    rate = {name: CANDIDATES / statistics.median(values) for name, values in seconds.items()}
    rate |= {"one, cold": CANDIDATES / cold, "two bare": 2 * rate["two bare"]}
    model = f"{1e6 / rate['bare']:.0f} microseconds a candidate (width {width})"
    print(f"\n{CANDIDATES} candidates, {model}, one thread each, median of {ROUNDS} rounds")
    print(f"{'way':52}{'candidates/s':>16}{'ratio':>8}{'aim':>8}")
    for label, name, found, aim in (
        ("bare model", "bare", 1.0, ""),
        ("pool of one actor, beside the bare model", "one", ratio("one", "bare"), "0.80"),
        ("the same, first call: speed not known yet", "one, cold", rate["one, cold"] / rate["bare"], ""),
        ("pool of two actors, beside one", "two", ratio("two", "one"), "1.70"),
        ("two bare processes, beside one: the machine's limit", "two bare", ratio("two bare", "bare", 2), ""),
    ):
        print(f"{label:52}{rate[name]:16,.0f}{found:8.2f}{aim:>8}")


def switching() -> None:
    """States that are published all the time, under calls that are made all the time."""
    sizes, total, wrong, lost = 400, 0, 0, 0
    versions_seen: set[int] = set()
    with ModelPool.start(Multiplier, actors=2, cpus=0, chunk_seconds=0.02) as pool:
        done = threading.Event()

        def publish() -> None:
            for number in range(1, SWITCHES + 1):
                assert pool.publish({"number": number}) == number
                time.sleep(0.02)
            done.set()

        publisher = threading.Thread(target=publish)
        publisher.start()
        batch = np.arange(1.0, sizes + 1)
        while not done.is_set():
            for future in [pool.submit_score(batch) for _ in range(4)]:
                answer = future.result()
                total += sizes
                wrong += int((answer.values != batch * answer.versions).sum())
                lost += len(answer.errors) + int(np.isnan(answer.values).sum())
                versions_seen.update(answer.versions.tolist())
        publisher.join()
        counts = pool.counts
    bound = counts.longest_chunk + counts.longest_load
    print(f"\n{SWITCHES} states published under load, 2 actors: {counts.switches} loads, {len(versions_seen)} versions answered")
    print(f"{total:,} answers: {wrong} of another version than they say, {lost} lost or doubled; aim: 0 and 0")
    print(
        f"longest wait {1e3 * counts.longest_wait:.0f} ms; longest chunk {1e3 * counts.longest_chunk:.0f} ms plus longest load "
        f"{1e3 * counts.longest_load:.0f} ms = {1e3 * bound:.0f} ms; aim: not longer (ratio {counts.longest_wait / bound:.2f})"
    )


def many_actors() -> None:
    """Real actors that sleep: what the driver's thread can serve.

    What loads the driver is the rate of chunks, so a few actors with short chunks stand for more actors with chunks of a
    quarter of a second, the default.
    """
    print(f"\n{'actors':>7}{'chunk':>9}{'chunks/s':>10}{'busy':>7}{'driver CPU a chunk':>20}{'as actors of 0.25 s':>21}")
    for actors in (2, 16, 64):
        with ModelPool.start(Sleeper, actors=actors, cpus=0, chunk_size=1, start_seconds=600) as pool:
            pool.score(np.full(40 * actors, 0.25))  # until all are there
            for seconds in (0.25, 0.1, 0.05, 0.02, 0.01):
                number = int(actors * 4 / max(seconds, 0.02))
                before, cpu, started = pool.counts, time.process_time(), time.perf_counter()
                pool.score(np.full(number, seconds))
                wall, cpu = time.perf_counter() - started, time.process_time() - cpu
                busy = (pool.counts.busy_seconds - before.busy_seconds) / (actors * wall)
                stands_for = number / wall * 0.25 / busy
                print(f"{actors:7}{seconds:8.2f}s{number / wall:10.0f}{busy:7.0%}{1e3 * cpu / number:17.2f} ms{stands_for:21.0f}")
    print("aim: 64 actors are kept busy; the driver stops keeping up where `busy` falls below 90 %")


def busy_caller() -> None:
    """Actors that sleep, while the caller's own thread waits, and while it keeps the interpreter busy."""
    print(f"\n{'4 actors, chunks of':20}{'busy, caller waits':>20}{'busy, caller spins':>20}{'ratio':>8}")
    with ModelPool.start(Sleeper, actors=4, cpus=0, chunk_size=1) as pool:
        pool.score(np.full(80, 0.1))  # until all are there
        for seconds in (0.25, 0.1, 0.05, 0.02):
            shares = []
            for spins in (False, True):
                number, before, started = int(16 / seconds), pool.counts.busy_seconds, time.perf_counter()
                future = pool.submit_score(np.full(number, seconds))
                while spins and not future.done():
                    sum(range(1000))
                future.result()
                shares.append((pool.counts.busy_seconds - before) / (4 * (time.perf_counter() - started)))
            print(f"{seconds:18.2f} s{shares[0]:20.0%}{shares[1]:20.0%}{shares[1] / shares[0]:8.2f}")


class InProcess:
    """What a stage of a surrogate search asks of a pool, without processes."""

    def __init__(self, surrogate: Any) -> None:
        self._surrogate = surrogate

    def fit(self, rows: Any, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(value=self._surrogate.fit(rows, **options), seconds=0.0)

    def publish(self, state: Any) -> None:
        self._surrogate.load(state)

    def propose(self, n: int, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(value=self._surrogate.propose(n, **options), seconds=0.0)

    def close(self) -> None:
        """There is nothing to end."""


def evaluated(searcher: GATESEvolution, evaluator: TabularEvaluator) -> Iterator[float]:
    """Run a search in a bare loop and yield the time of each outcome."""
    trial = 0
    while (suggestion := searcher.suggest(str(trial))) != Searcher.FINISHED:
        assert isinstance(suggestion, dict)
        outcome = evaluator.evaluate([evaluator.space.parse(text) for text in suggestion["candidates"]])
        result = {
            "scores": [each.score for each in outcome],
            "errors": [each.error for each in outcome],
            "seconds": [each.seconds for each in outcome],
            "batch_seconds": 0.001,
        }
        searcher.on_trial_complete(trial_id=str(trial), result=result)
        trial += 1
        yield time.perf_counter()


def through_tune(searcher: GATESEvolution, evaluator: TabularEvaluator, folder: str) -> list[float]:
    """Run a search through pool, Tune and ledger and return the time of each outcome."""
    times: list[float] = []
    searcher.on_outcomes = lambda observations: times.append(time.perf_counter())
    searcher.open()
    settings = {"ledger": f"{folder}/ledger", "run": f"seed{searcher.seed}", "folder": Path(folder, f"tune{searcher.seed}")}
    run_trials(searcher, evaluator, workers=1, resources=TrialResources(), **settings)
    searcher.close()
    return times


def search() -> None:
    """What pool, Tune and ledger add to a search in which a resident predictor scores some 5,000 candidates.

    Both ways make the same proposals, because the search is deterministic. The time is from the first outcome of a candidate that
    the predictor chose to the last outcome: the start of Ray, pool and worker, and the first use of torch, are left out.
    """
    evaluator = TabularEvaluator.embedded("digits201", space=NASBench201())
    settings: dict[str, Any] = {
        "num_candidates": 120,
        "population": 250,
        "generations": 1,
        "deterministic": True,
        "enumerable": 0,
    }
    settings["batch_size"] = 10
    torch.set_num_threads(1)
    ratios = []
    print(f"\n{'GATES search':34}{'bare loop':>12}{'pool and Tune':>15}{'ratio':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(4):
            bare, other = (GATESEvolution(evaluator.space, seed, **settings) for _ in range(2))
            bare._pool = InProcess(bare.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
            times = list(evaluated(bare, evaluator)), through_tune(other, evaluator, folder)
            assert [row.evaluation.key for row in other.history] == [row.evaluation.key for row in bare.history]
            seconds = [way[-1] - way[2] for way in times]
            if seed:  # the first round loads what the later ones use
                ratios.append(seconds[1] / seconds[0])
                print(f"{f'seed {seed}, candidates 30 to 120':34}{seconds[0]:10.2f} s{seconds[1]:13.2f} s{ratios[-1]:9.2f}")
    print(f"median ratio {statistics.median(ratios):.2f}; aim: at most 1.10")


SECTIONS: dict[str, Callable[[], None]] = {
    "search": search,
    "throughput": throughput,
    "switching": switching,
    "many-actors": many_actors,
    "busy-caller": busy_caller,
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=sorted(SECTIONS), help="run this section; may be repeated")
    arguments = parser.parse_args()
    connect(num_cpus=2)
    for name, section in SECTIONS.items():
        if not arguments.only or name in arguments.only:
            section()


if __name__ == "__main__":
    main()
