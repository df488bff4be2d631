"""What Ray Tune, batches and MLflow cost a search that looks scores up in a table.

    python benchmarks/orchestration.py            # rates, tracking; about three minutes
    python benchmarks/orchestration.py --training # also the share of time inside training in the default run
    python benchmarks/orchestration.py --growth   # only how costs grow, from 1,000 to 100,000 candidates

All figures are of one run on one machine; compare the ratios.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archsearch import cluster, evaluators, searchers, spaces
from archsearch.platform import run_search
from archsearch.spaces import Architecture

CANDIDATES = 5000
PER_TRIAL_CANDIDATES = 60
REPEATS = 3


def bare_loop(evaluator: evaluators.Evaluator, seed: int) -> float:
    """Return candidates a second of a loop that drives the searcher without Tune, in the batches that Tune would carry."""
    searcher = searchers.RandomSearch(evaluator.space, seed, num_candidates=CANDIDATES)
    started, trial = time.perf_counter(), 0
    while isinstance(suggestion := searcher.suggest(str(trial)), dict):
        before = time.perf_counter()
        outcome = evaluator.evaluate([evaluator.space.parse(text) for text in suggestion["candidates"]])
        result = {
            "scores": [evaluation.score for evaluation in outcome],
            "seconds": [evaluation.seconds for evaluation in outcome],
            "errors": [evaluation.error for evaluation in outcome],
            "batch_seconds": time.perf_counter() - before,
        }
        searcher.on_trial_complete(trial_id=str(trial), result=result)
        trial += 1
    return CANDIDATES / (time.perf_counter() - started)


def through_tune(
    evaluator: evaluators.Evaluator, folder: Path, seed: int, candidates: int, batch_size: int | None, workers: int
) -> tuple[float, float]:
    """Return candidates a second of a Tune run: over all of it, and from its first outcome (the worker is up) to its last."""
    searcher = searchers.RandomSearch(evaluator.space, seed, num_candidates=candidates, batch_size=batch_size)
    searcher.workers = workers
    arrivals: list[tuple[float, int]] = []
    searcher.on_outcomes = lambda observations: arrivals.append((time.perf_counter(), len(observations)))
    started = time.perf_counter()
    cluster.run_trials(
        searcher,
        evaluator,
        ledger=str(folder / "ledger"),
        run=f"seed{seed}-{batch_size}",
        folder=folder / f"tune-{seed}-{batch_size}",
        workers=workers,
        resources=cluster.TrialResources(),
    )
    total = time.perf_counter() - started
    steady = (candidates - arrivals[0][1]) / (arrivals[-1][0] - arrivals[0][0])
    return candidates / total, steady


def rates(evaluator: evaluators.Evaluator) -> None:
    """Print candidates a second of each way."""
    cluster.connect(num_cpus=2)
    bare, whole, steady, single = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(REPEATS):
            bare.append(bare_loop(evaluator, seed))
            total, running = through_tune(evaluator, Path(folder), seed, CANDIDATES, None, 1)
            whole.append(total)
            steady.append(running)
            single.append(through_tune(evaluator, Path(folder), seed, PER_TRIAL_CANDIDATES, 1, 2)[1])
    per_trial = statistics.median(single)
    print(f"\n{'way':58}{'candidates/s':>14}{'x one per trial':>17}   (median of {REPEATS})")
    for name, values in (
        ("bare loop, no Tune", bare),
        (f"Tune, batches, {CANDIDATES} candidates, first to last outcome", steady),
        (f"Tune, batches, {CANDIDATES} candidates, start of workers included", whole),
        (f"Tune, one candidate a trial, 2 at once, {PER_TRIAL_CANDIDATES} candidates", single),
    ):
        print(f"{name:58}{statistics.median(values):14.1f}{statistics.median(values) / per_trial:17.1f}")
    print("aim: 1,000 candidates/s through Tune, and 100 times one candidate a trial (3 to 4 a second expected)")


def tracking() -> None:
    """Print what MLflow adds to a table search, its store made before."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        settings = {"evaluator": "table:digits201", "searcher": "random", "storage": folder, "progress": False, "reuse": False}
        run_search(**settings, num_candidates=5, name="warm", tracking=uri)
        times: dict[str, list[float]] = {uri: [], "off": []}
        for repeat in range(REPEATS):
            for where in (uri, "off"):
                started = time.perf_counter()
                run_search(**settings, num_candidates=CANDIDATES, name=f"{len(where)}-{repeat}", tracking=where, seed=repeat)
                times[where].append(time.perf_counter() - started)
        on, off = statistics.median(times[uri]), statistics.median(times["off"])
    print(f"\ntable search of {CANDIDATES} candidates, report included: {on:.2f} s with MLflow, {off:.2f} s without")
    print(f"MLflow costs {on / off - 1:+.1%}; aim: under 2 %")


def training() -> None:
    """Print the share of wall time inside training in the default run, from Ray's start to the last outcome."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_search(storage=folder, tracking="off")
    costs, workers = result.summary.costs, result.summary.settings["workers"]
    share = costs["evaluating"] / (workers * costs["trials"])
    wall = f"{workers} workers x {costs['trials']:.0f} s"
    print(f"\ndefault run: {costs['total']:.0f} s in all; inside training {share:.1%} of {wall}; aim: 90 %")


class Parity(evaluators.Evaluator):
    """Scores an architecture by its genes, in no time: what is left are the costs of the search itself."""

    @property
    def task(self) -> str:
        return "parity"

    def settings(self) -> dict[str, str]:
        return {}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[evaluators.Evaluation]:
        genes = [self.space.genotype(each) for each in architectures]
        figures = [{"params": float(sum(row)), "macs": float(row[0])} for row in genes]  # as tables hold them
        scores = [sum(gene % 2 for gene in row) / len(row) for row in genes]
        rows = zip(architectures, scores, figures, strict=True)
        return [evaluators.Evaluation(each, self.space.key(each), score, more, seconds=1e-4) for each, score, more in rows]


def growth() -> None:
    """Print what a candidate costs in longer and longer searches: searcher, Tune, ledger, MLflow and report.

    CPU time is that of the driver with all its threads; the clock of a shared machine tells less.
    """
    columns = ("seconds", 10), ("in trials", 10), ("CPU s", 10), ("CPU microseconds a candidate", 30), ("driver MB", 11)
    print(f"\n{'searcher':12}{'candidates':>11}" + "".join(f"{name:>{width}}" for name, width in columns), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"space": "enas12", "evaluator": Parity(spaces.get("enas12")), "storage": folder}
        settings |= {"progress": False, "reuse": False, "tracking": f"sqlite:///{folder}/mlflow.db"}
        run_search(**settings, searcher="random", num_candidates=5, name="first")  # it loads what all use
        before = time.process_time()
        run_search(**settings, searcher="random", num_candidates=5, name="second")
        fixed = time.process_time() - before
        for searcher, options in (("random", {}), ("evolution", {"population_size": 100, "tournament_size": 10})):
            settings["searcher_options"] = options
            for candidates in (1_000, 10_000, 30_000, 100_000):
                clock, cpu, name = time.perf_counter(), time.process_time(), f"{searcher}-{candidates}"
                result = run_search(**settings, searcher=searcher, num_candidates=candidates, name=name)
                clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
                each, memory = 1e6 * (cpu - fixed) / candidates, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                times = f"{clock:10.1f}{result.summary.costs['trials']:10.1f}{cpu:10.1f}{each:30.0f}"
                print(f"{searcher:12}{candidates:11,}{times}{memory:11.0f}", flush=True)
    print("aim: flat")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", action="store_true", help="also run the default search (minutes)")
    parser.add_argument("--growth", action="store_true", help="only measure searches of 1,000 to 100,000 candidates")
    arguments = parser.parse_args()
    if arguments.growth:
        growth()
        return
    evaluator = evaluators.TabularEvaluator.embedded("digits201", space=spaces.get("nasbench201"))
    rates(evaluator)
    tracking()
    if arguments.training:
        training()


if __name__ == "__main__":
    main()
