"""Costs of Ray Tune, batches and MLflow in a search that looks scores up in a table.

    python -m benchmarks.cluster.orchestration                          # rates, tracking; about three minutes
    python -m benchmarks.cluster.orchestration --parts training         # share of time inside training in the default run
    python -m benchmarks.cluster.orchestration --parts growth           # costs from 1,000 to 100,000 candidates

All figures are of one run on one machine; compare the ratios.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from archsearch import cluster, evaluators, searchers, spaces
from archsearch.platform import run_search
from archsearch.spaces import Architecture
from benchmarks.frame import Rows, Script, table

CANDIDATES = 5000
PER_TRIAL_CANDIDATES = 60
REPEATS = 3
WAYS = (
    "bare loop, no Tune",
    f"Tune, batches, {CANDIDATES:,} candidates, first to last outcome",
    "the same, start of the worker included",
    f"Tune, one candidate a trial, 2 at once, {PER_TRIAL_CANDIDATES} candidates",
)


def bare_loop(evaluator: evaluators.Evaluator, seed: int) -> float:
    """Return candidates a second of a loop that drives the searcher without Tune, in the batches of a Tune run."""
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


def rates() -> dict[str, float]:
    """Return the median candidates a second of each way."""
    evaluator = evaluators.TabularEvaluator.embedded("digits201", space=spaces.get("nasbench201"))
    cluster.connect(num_cpus=2)
    bare, whole, steady, single = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(REPEATS):
            bare.append(bare_loop(evaluator, seed))
            total, running = through_tune(evaluator, Path(folder), seed, CANDIDATES, None, 1)
            whole.append(total)
            steady.append(running)
            single.append(through_tune(evaluator, Path(folder), seed, PER_TRIAL_CANDIDATES, 1, 2)[1])
    return {name: statistics.median(rates) for name, rates in zip(WAYS, (bare, steady, whole, single), strict=True)}


def tracking() -> dict[str, float]:
    """Return the seconds of a table search with MLflow, its store made before, and without; the report is included."""
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
    return {"with": statistics.median(times[uri]), "without": statistics.median(times["off"])}


def training() -> dict[str, float]:
    """Return the share of wall time inside training in the default run, from Ray's start to the last outcome."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_search(storage=folder, tracking="off")
    costs, workers = result.summary.costs, result.summary.settings["workers"]
    share = costs["evaluating"] / (workers * costs["trials"])
    return {"share": share, "workers": workers, "trials": costs["trials"], "total": costs["total"]}


class Parity(evaluators.Evaluator):
    """Scores an architecture by its genes in no time, so that only the costs of the search itself are left."""

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


def growth() -> dict[str, Any]:
    """Return the costs of longer and longer searches: searcher, Tune, ledger, MLflow and report.

    CPU time is that of the driver with all its threads; the clock of a shared machine says less.
    """
    found = []
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
                costs = {"seconds": clock, "trials": result.summary.costs["trials"], "cpu": cpu}
                found.append({"searcher": searcher, "candidates": candidates, **costs, "each": each, "megabytes": memory})
                print(found[-1], flush=True)
    return {"searches": found}


def report(rows: Rows) -> None:
    """Print the tables, with the aims beside what was measured."""
    for row in rows.select(part="rates"):
        single = row[WAYS[-1]]
        aims = (None, "1,000 a second, 100 times", None, "3 to 4 a second expected")
        lines = [[way, f"{row[way]:,.1f}", f"{row[way] / single:,.1f}", aim] for way, aim in zip(WAYS, aims, strict=True)]
        table([f"way, median of {REPEATS}", "candidates a second", "times one candidate a trial", "aim"], lines)
    lines = [
        [
            f"MLflow in a table search of {CANDIDATES:,} candidates",
            f"{row['with']:.2f} s",
            f"{row['without']:.2f} s without",
            f"{row['with'] / row['without'] - 1:+.1%}",
            "under 2 %",
        ]
        for row in rows.select(part="tracking")
    ]
    lines += [
        [
            "time inside training in the default run",
            f"{row['total']:.0f} s in all",
            f"{row['workers']} workers x {row['trials']:.0f} s",
            f"{row['share']:.1%}",
            "90 %",
        ]
        for row in rows.select(part="training")
    ]
    if lines:
        table(["", "seconds", "beside", "share", "aim"], lines)
    columns = ["searcher", "candidates", "seconds", "in trials", "CPU s", "CPU microseconds a candidate (aim: flat)", "driver MB"]
    for row in rows.select(part="growth"):
        costs = [
            [
                each["searcher"],
                f"{each['candidates']:,}",
                *(f"{each[name]:,.1f}" for name in ("seconds", "trials", "cpu")),
                *(f"{each[name]:,.0f}" for name in ("each", "megabytes")),
            ]
            for each in row["searches"]
        ]
        table(columns, costs)


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "rates": rates,
    "tracking": tracking,
    "training": training,
    "growth": growth,
}


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--parts", nargs="+", choices=PARTS, default=["rates", "tracking"], help="(default: rates tracking)")
    arguments = script.parse()

    def run(rows: Rows) -> None:
        for part in arguments.parts:
            rows.get(PARTS[part], part=part)

    script.run(run, report)


if __name__ == "__main__":
    main()
