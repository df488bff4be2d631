"""How many evaluations a search needs to find the best cells of NAS-Bench-101 and NAS-Bench-201, beside what is known.

    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_search.py                         # 20 seeds of all methods; hours on one core
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_search.py --only gates --seeds 5  # fewer
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_search.py --print                 # what is there so far

The folder holds nasbench101.parquet and nasbench201.parquet. The searchers are the package's own with their defaults, in a bare
loop: a surrogate lives in this process, where a search has it in an actor. Each finished search is a line of a file, and is not
repeated; several processes may share the file if they take different seeds (--first). Evaluations are distinct structures. On
both benchmarks a search is scored by the mean test accuracy, as the known figures are, and by one validation run where named so.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from known_searches import Table, evaluations, nasbench101, nasbench201
from pool import InProcess
from rows import read, write

from archsearch import searchers
from archsearch.searchers import ArchitectureSearcher, Goals
from archsearch.searchers.surrogate.searcher import SurrogateSearcher

RANKS = (10, 3, 1)
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
EVOLUTION = {"nasbench101": {"population_size": 100, "tournament_size": 10}}
Methods = Mapping[str, tuple[str, Mapping[str, Any]]]  # by name: a searcher, and its options beside the defaults
METHODS: Methods = {name: (name, {}) for name in ("gates", "evolution", "random", "optuna", "gp")}


def make(method: tuple[str, Mapping[str, Any]], bench: str, table: Table, seed: int) -> ArchitectureSearcher:
    """Return a searcher with its defaults; evolution has the published settings of the benchmark, or 20 and 10."""
    name, changes = method
    goals = Goals(costs=lambda architecture: {"macs": float(table.space.cost(architecture).macs)}, cost_names=("macs",))
    options: dict[str, Any] = {"num_candidates": LENGTHS[bench], "goals": goals, **changes}
    if name == "evolution":
        options |= {"batch_size": 1, **EVOLUTION.get(bench, {"population_size": 20, "tournament_size": 10})}
    searcher = searchers.get(name)(table.space, seed, **options)
    if isinstance(searcher, SurrogateSearcher):
        searcher._pool = InProcess(searcher.surrogate()())  # type: ignore[assignment]  # it has what a stage asks for
    else:
        searcher.batch_size = 1
    return searcher


def run(method: tuple[str, Mapping[str, Any]], bench: str, table: Table, seed: int) -> dict[str, Any]:
    """Return a search: the reported accuracy (%) of the best-scored after each evaluation, the evaluations until each rank, and
    mean accuracy and millions of MACs of the three best-scored."""
    best_score, best, curve, first, seen = -math.inf, 0.0, [], dict[int, int](), []
    started = time.process_time()
    for count, text in enumerate(evaluations(make(method, bench, table, seed), table.scores), start=1):
        if table.scores[text] > best_score:
            best_score, best = table.scores[text], table.reported[text]
        curve.append(round(best, 4))
        seen.append(text)
        for rank in RANKS:
            if table.ranks[text] <= rank:
                first.setdefault(rank, count)
    found = {str(rank): first.get(rank) for rank in RANKS}
    cpu = time.process_time() - started
    top = sorted(seen, key=lambda text: -table.scores[text])[:3]
    accuracy, macs = (
        float(np.mean(values)) for values in zip(*((table.reported[text], _macs(table, text)) for text in top), strict=True)
    )
    return {"bench": bench, "seed": seed, "found": found, "curve": curve, "top3": [accuracy, macs], "cpu": cpu}


def _macs(table: Table, text: str) -> float:
    """Return the millions of multiply-accumulates of an architecture."""
    return table.space.cost(table.space.parse(text)).macs / 1e6


def run_all(benches: Iterable[str], methods: Methods, seeds: range, path: Path, data: Path) -> None:
    """Run what is not in the file yet."""
    table = cache(lambda bench: TABLES[bench](data))
    for bench in benches:
        for method, settings in methods.items():
            for seed in seeds:
                if any((row["bench"], row["method"], row["seed"]) == (bench, method, seed) for row in read(path)):
                    continue
                row = {"method": method, **run(settings, bench, table(bench), seed)}
                write(path, row)
                print(f"{bench}, {method}, seed {seed}: {row['found']}, {row['curve'][-1]:.3f} %, {row['cpu']:.0f} s", flush=True)


def quartiles(rows: list[dict[str, Any]], rank: int) -> str:
    """Return median and quartiles of the evaluations until a rank; a search that never got there counts as endless."""
    counts = [row["found"][str(rank)] or math.inf for row in rows]
    low, median, high = (
        f"{value:,.0f}" if value < math.inf else f"> {len(rows[0]['curve']):,}"
        for value in np.quantile(counts, [0.25, 0.5, 0.75], method="higher")
    )
    return f"{median} ({low} to {high})"


def report(rows: list[dict[str, Any]], known_methods: Iterable[str]) -> None:
    """Print the tables as Markdown."""
    for bench in TABLES:
        methods = [method for method in known_methods if any((row["bench"], row["method"]) == (bench, method) for row in rows)]
        if not methods:
            continue
        print(f"\n### {bench}\n")
        counts = ", ".join(str(count) for count in COUNTS if count <= LENGTHS[bench])
        print(f"| | seeds | rank 10 | rank 3 | best | best so far (%) after {counts} | top 3: %, M MACs | CPU s |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, known in KNOWN.get(bench, {}).items():
            print(
                f"| {name}: known | | {' | '.join(known)} | | | |" if name != "aim" else f"| aim | | {' | '.join(known)} | | | |"
            )
        for method in methods:
            found = [row for row in rows if (row["bench"], row["method"]) == (bench, method)]
            curves = np.array([row["curve"] + row["curve"][-1:] * (LENGTHS[bench] - len(row["curve"])) for row in found])
            so_far = ", ".join(f"{curves[:, count - 1].mean():.3f}" for count in COUNTS if count <= LENGTHS[bench])
            tops = [row["top3"] for row in found if "top3" in row]
            top = ", ".join(f"{value:.2f}" for value in np.mean(tops, axis=0)) if tops else ""
            ranks = " | ".join(quartiles(found, rank) for rank in RANKS)
            print(f"| {method} | {len(found)} | {ranks} | {so_far} | {top} | {np.median([row['cpu'] for row in found]):.0f} |")


def main(description: str | None, methods: Methods, results: str) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benches", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--only", nargs="+", choices=methods, default=list(methods), help="methods")
    parser.add_argument("--seeds", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--results", type=Path, default=Path(results), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.print:
        if "ARCHSEARCH_DATA" not in os.environ:
            raise SystemExit("ARCHSEARCH_DATA: name the folder with nasbench101.parquet and nasbench201.parquet.")
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        run_all(
            arguments.benches,
            {name: methods[name] for name in arguments.only},
            seeds,
            arguments.results,
            Path(os.environ["ARCHSEARCH_DATA"]),
        )
    report(read(arguments.results), methods)


if __name__ == "__main__":
    main(__doc__, METHODS, "runs/gates_search.jsonl")
