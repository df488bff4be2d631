"""What Ray Tune, batches and MLflow cost a search that looks scores up in a table.

    python benchmarks/orchestration.py            # rates, tracking; about three minutes
    python benchmarks/orchestration.py --training # also the share of time inside training in the default run

All figures are of one run on one machine; compare the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from archsearch import cluster, evaluators, searchers, spaces
from archsearch.platform import run_search

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


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--training", action="store_true", help="also run the default search (minutes)")
    arguments = parser.parse_args()
    evaluator = evaluators.TabularEvaluator.embedded("digits201", space=spaces.get("nasbench201"))
    rates(evaluator)
    tracking()
    if arguments.training:
        training()


if __name__ == "__main__":
    main()
