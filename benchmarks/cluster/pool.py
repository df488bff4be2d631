"""Throughput and overhead of a pool of resident models, beside the bare model.

    python -m benchmarks.cluster.pool                     # all sections; some five minutes
    python -m benchmarks.cluster.pool --only throughput   # one section

All figures are of one run on one machine; compare the ratios. The machine should have two idle cores.
"""

from __future__ import annotations

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
from benchmarks.frame import Rows, Script, table

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
    """Multiplies by the number of the state, so that a score shows which state gave it; candidates take time by sleeping."""

    number, seconds = 0, 1e-4

    def load(self, state: Any) -> None:
        time.sleep(0.005)
        self.number = state["number"]

    def score(self, batch: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds * len(batch))
        return batch * float(self.number)


class Sleeper(Surrogate):
    """Sleeps for the seconds that each candidate names."""

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


def throughput() -> dict[str, Any]:
    """Measure one actor beside the bare model, two beside one, and two bare processes beside one: the machine's own limit.

    The ways take turns, and ratios are of neighbours, so that other work on the machine weighs on all equally.
    """
    batch = candidates()
    return {"models": [_throughput(width, batch) for width in (64, 256)]}


def _throughput(width: int, batch: GraphBatch) -> dict[str, Any]:
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

    def ratio(name: str, base: str, work: int = 1) -> float:
        pairs = zip(seconds[name], seconds[base], strict=True)
        return statistics.median(work * reference / own for own, reference in pairs)

    rate = {name: CANDIDATES / statistics.median(values) for name, values in seconds.items()}
    rate |= {"one, cold": CANDIDATES / cold, "two bare": 2 * rate["two bare"]}
    ratios = {"bare": 1.0, "one": ratio("one", "bare"), "one, cold": rate["one, cold"] / rate["bare"]}
    ratios |= {"two": ratio("two", "one"), "two bare": ratio("two bare", "bare", 2)}
    return {"width": width, "rates": rate, "ratios": ratios}


def print_throughput(row: dict[str, Any]) -> None:
    for model in row["models"]:
        rate, ratios = model["rates"], model["ratios"]
        lines = [
            [label, f"{rate[name]:,.0f}", f"{ratios[name]:.2f}", aim]
            for label, name, aim in (
                ("bare model", "bare", None),
                ("pool of one actor, beside the bare model", "one", "0.80"),
                ("the same, first call: speed not known yet", "one, cold", None),
                ("pool of two actors, beside one", "two", "1.70"),
                ("two bare processes, beside one: the machine's limit", "two bare", None),
            )
        ]
        candidate = f"{1e6 / rate['bare']:.0f} microseconds a candidate (width {model['width']})"
        title = f"{CANDIDATES:,} candidates, {candidate}, one thread each, median of {ROUNDS} rounds"
        table(["way", "candidates a second", "ratio", "aim"], lines, title)


def switching() -> dict[str, Any]:
    """Publish states all the time, while calls are made all the time."""
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
    return {
        "loads": counts.switches,
        "versions": len(versions_seen),
        "answers": total,
        "wrong": wrong,
        "lost": lost,
        "wait_ms": 1e3 * counts.longest_wait,
        "chunk_ms": 1e3 * counts.longest_chunk,
        "load_ms": 1e3 * counts.longest_load,
    }


def print_switching(row: dict[str, Any]) -> None:
    bound = row["chunk_ms"] + row["load_ms"]
    lines = [
        ["answers", f"{row['answers']:,} of {row['versions']} versions, {row['loads']:,} loads", None],
        ["of another version than they say", row["wrong"], 0],
        ["lost or doubled", row["lost"], 0],
        ["longest wait, ms", f"{row['wait_ms']:.0f}", f"longest chunk {row['chunk_ms']:.0f} + longest load = {bound:.0f}"],
    ]
    table(["", "here", "aim"], lines, f"{SWITCHES:,} states published under load, 2 actors")


def many_actors() -> dict[str, Any]:
    """Measure how many real actors, which sleep, the driver's thread can serve.

    What loads the driver is the rate of chunks, so a few actors with short chunks stand for more actors with chunks of a
    quarter of a second, the default.
    """
    found = []
    for actors in (2, 16, 64):
        with ModelPool.start(Sleeper, actors=actors, cpus=0, chunk_size=1, start_seconds=600) as pool:
            pool.score(np.full(40 * actors, 0.25))  # until all are there
            for seconds in (0.25, 0.1, 0.05, 0.02, 0.01):
                number = int(actors * 4 / max(seconds, 0.02))
                before, cpu, started = pool.counts, time.process_time(), time.perf_counter()
                pool.score(np.full(number, seconds))
                wall, cpu = time.perf_counter() - started, time.process_time() - cpu
                busy = (pool.counts.busy_seconds - before.busy_seconds) / (actors * wall)
                rate = number / wall
                found.append({"actors": actors, "chunk": seconds, "rate": rate, "busy": busy, "cpu_ms": 1e3 * cpu / number})
    return {"pools": found}


def print_many_actors(row: dict[str, Any]) -> None:
    lines = [
        [
            each["actors"],
            f"{each['chunk']:.2f}",
            f"{each['rate']:.0f}",
            f"{each['busy']:.0%}",
            f"{each['cpu_ms']:.2f}",
            f"{each['rate'] * 0.25 / each['busy']:.0f}",
        ]
        for each in row["pools"]
    ]
    columns = [
        "actors",
        "s a chunk",
        "chunks a second",
        "busy",
        "driver CPU ms a chunk",
        "stands for actors with chunks of .25 s",
    ]
    table(columns, lines, "Aim: 64 actors are kept busy; the driver stops keeping up where `busy` falls below 90 %")


def busy_caller() -> dict[str, Any]:
    """Measure actors that sleep, while the caller's own thread waits, and while it keeps the interpreter busy."""
    found = []
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
            found.append([seconds, *shares])
    return {"shares": found}


def print_busy_caller(row: dict[str, Any]) -> None:
    lines = [
        [f"{seconds:.2f}", f"{waits:.0%}", f"{spins:.0%}", f"{spins / waits:.2f}"] for seconds, waits, spins in row["shares"]
    ]
    table(["4 actors, s a chunk", "busy, caller waits", "busy, caller spins", "ratio"], lines)


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


def search() -> dict[str, Any]:
    """Measure what pool, Tune and ledger add to a search in which a resident predictor scores some 5,000 candidates.

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
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(4):
            bare, other = (GATESEvolution(evaluator.space, seed, **settings) for _ in range(2))
            bare._pool = InProcess(bare.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
            times = list(evaluated(bare, evaluator)), through_tune(other, evaluator, folder)
            assert [row.evaluation.key for row in other.history] == [row.evaluation.key for row in bare.history]
            seconds = [way[-1] - way[2] for way in times]
            if seed:  # the first round loads what the later ones use
                found.append([seed, *seconds])
    return {"seconds": found}


def print_search(row: dict[str, Any]) -> None:
    ratios = [tune / bare for _, bare, tune in row["seconds"]]
    lines: list[list[object]] = [
        [f"seed {seed}, candidates 30 to 120", f"{bare:.2f}", f"{tune:.2f}", f"{tune / bare:.2f}", None]
        for seed, bare, tune in row["seconds"]
    ]
    lines.append(["median", None, None, f"{statistics.median(ratios):.2f}", "at most 1.10"])
    table(["GATES search", "bare loop, s", "pool and Tune, s", "ratio", "aim"], lines)


SECTIONS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], None]]] = {
    "search": (search, print_search),
    "throughput": (throughput, print_throughput),
    "switching": (switching, print_switching),
    "many-actors": (many_actors, print_many_actors),
    "busy-caller": (busy_caller, print_busy_caller),
}


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="sections (default: all)")
    arguments = script.parse()

    def measured(section: str) -> dict[str, Any]:
        connect(num_cpus=2)
        return SECTIONS[section][0]()

    def run(rows: Rows) -> None:
        for section in SECTIONS:
            if section in arguments.only:
                rows.get(partial(measured, section), section=section)

    def report(rows: Rows) -> None:
        for row in rows.all():
            SECTIONS[row["section"]][1](row)

    script.run(run, report)


if __name__ == "__main__":
    main()
