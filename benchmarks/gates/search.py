"""Evaluations that a search needs to find the best cells of NAS-Bench-101 and NAS-Bench-201, beside what is known.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.search                         # 20 seeds of all methods; hours on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.search --only gates --seeds 5  # fewer

The folder holds nasbench101.parquet and nasbench201.parquet. The searchers are the package's own with their defaults, in a bare
loop: a surrogate lives in this process, where a search has it in an actor. Each searcher is told the score of a candidate before
it proposes the next one, as with one worker. Evaluations are distinct structures. On both benchmarks a search is scored by the
mean test accuracy, as the known figures are, and by one validation run where named so. Training-free scores are those of one
seed, kept in `runs/training-free`, and so paid once for all searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import optuna
import torch
from ray.tune.search.optuna import OptunaSearch

from archsearch import searchers
from archsearch.searchers import ArchitectureSearcher, Goals
from archsearch.searchers.surrogate.proxy_reranking import ProxyReranking
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from benchmarks.cluster.pool import InProcess
from benchmarks.comparisons.course import Course, columns, line
from benchmarks.comparisons.known_searches import Table, evaluations, nasbench101, nasbench201
from benchmarks.frame import Rows, Script, data, table

COUNTS = (50, 100, 150, 200, 300)
# Until ranks 10, 3 and 1: medians of distinct evaluations on the same tables with other implementations, and our aims.
KNOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "nasbench101": {
        "random": ("", "", "211,812 (exact)"),
        "evolution": ("196", "292", "33,200 or more"),
        "GATES, as published": ("", "", "about 400"),
        "aim": ("80", "120", "250"),
    },
    "nasbench201": {"random": ("", "", "4,611"), "evolution": ("", "", "79"), "aim": ("", "", "50")},
}
TABLES: dict[str, Callable[[Path], Table]] = {
    "nasbench101": nasbench101,
    "nasbench201": partial(nasbench201, score="cifar10_test"),
    "nasbench201 by one run": partial(nasbench201, score="cifar10_valid_run"),
}
LENGTHS = {"nasbench101": 150, "nasbench201": 100, "nasbench201 by one run": 100}


def gaussian_process(domains: dict[str, Any], seed: int) -> OptunaSearch:
    """Return Optuna's Gaussian process with expected improvement, with its defaults."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = OptunaSearch.convert_search_space(domains)
    return OptunaSearch(space, metric="score", mode="max", sampler=optuna.samplers.GPSampler(seed=seed))


FREE = {"proxies": "params+nwot+synflow+jacov", "scale": {"channels": 16, "cells_per_stage": 2}}
KEPT = "runs/training-free"

Method = tuple[str | type[ArchitectureSearcher], Mapping[str, Any]]  # a searcher, and its options beside the defaults
Methods = Mapping[str, Method]
METHODS: Methods = {
    "random": ("random", {}),
    "evolution 20/10": ("evolution", {}),
    "evolution 100/10": ("evolution", {"population_size": 100, "tournament_size": 10}),
    "optuna": ("optuna", {}),
    "gp": ("gp", {}),
    "gp and training-free scores": ("gp", FREE),
    "gates": ("gates", {}),
    "gates and training-free scores": ("gates", FREE),
    "gates alone": ("gates", {"preset": "gates"}),
    "optuna gp": ("tune", {"algorithm": gaussian_process}),
}


def make(method: Method, bench: str, known: Table, seed: int) -> ArchitectureSearcher:
    """Return a searcher with its defaults beside the method's options, which proposes one candidate at a time."""
    name, changes = method
    goals = Goals(costs=lambda architecture: {"macs": float(known.space.cost(architecture).macs)}, cost_names=("macs",))
    options: dict[str, Any] = {"num_candidates": LENGTHS[bench], "batch_size": 1, "goals": goals, **changes}
    if "proxies" in changes:
        options["dataset"] = f"parquet:{data('cifar10_train.parquet')}/cifar10_train.parquet"
    kind = name if isinstance(name, type) else searchers.TuneAlgorithm if name == "tune" else searchers.get(name)
    searcher = kind(known.space, seed, **options)
    if isinstance(searcher, SurrogateSearcher):
        searcher.ledger_root = KEPT
        surrogate = searcher.surrogate()()
        if isinstance(surrogate, ProxyReranking):
            surrogate.scores.seed = 0
        searcher._pool = InProcess(surrogate)  # type: ignore[assignment]  # it has what a stage asks for
    return searcher


def run(method: Method, bench: str, known: Table, seed: int) -> dict[str, Any]:
    """Return the figures of a search, and its CPU seconds."""
    started, course = time.process_time(), Course(known)
    for text in evaluations(make(method, bench, known, seed), known.scores):
        course.take(text)
    return {**course.figures(), "cpu": time.process_time() - started}


def run_all(script: Script, methods: Methods, rows: Rows) -> None:
    """Run what is not in the file yet."""
    held = cache(lambda bench: TABLES[bench](data("nasbench101.parquet", "nasbench201.parquet")))
    for bench in script.arguments.benches:
        for method in script.arguments.only:
            for seed in script.seeds:
                rows.get(
                    lambda bench=bench, method=method, seed=seed: run(methods[method], bench, held(bench), seed),
                    bench=bench,
                    method=method,
                    seed=seed,
                )


def report(rows: Rows, methods: Methods) -> None:
    """Print a table for each benchmark, with the known figures above ours."""
    for bench, length in LENGTHS.items():
        found = {method: rows.select(bench=bench, method=method) for method in methods}
        if not any(found.values()):
            continue
        counts = [count for count in COUNTS if count <= length]
        known = [
            [name if name == "aim" else f"{name}: known", None, *figures, None, None, None]
            for name, figures in KNOWN.get(bench, {}).items()
        ]
        table(
            columns(counts),
            [*known, *(line(method, each, length, counts) for method, each in found.items() if each)],
            title=bench,
        )


def main(file: str, description: str | None, methods: Methods) -> None:
    """Run the command line of this script, or of another one that has other methods."""
    script = Script(file, description, seeds=20)
    script.argument("--benches", nargs="+", choices=TABLES, default=list(TABLES))
    script.argument("--only", nargs="+", choices=methods, default=list(methods), help="methods")
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: run_all(script, methods, rows), lambda rows: report(rows, methods))


if __name__ == "__main__":
    main(__file__, __doc__, METHODS)
