"""Evaluations that the controller of NASNet, PNAS and NAO need to find the best cells of NAS-Bench-101 and NAS-Bench-201.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.rivals.tables                               # 20 seeds of all three
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.rivals.tables --only nasnet --seeds 5       # fewer

The folder holds nasbench101.parquet and nasbench201.parquet. Loop, tables and lengths are those of `benchmarks.gates.search`, so
that the rows of `gates`, `evolution` and `random` in its file can stand beside these; `--beside` names that file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from benchmarks.comparisons.course import best_after, columns, line
from benchmarks.frame import FOLDER, Rows, Script, data, table
from benchmarks.gates.search import COUNTS, LENGTHS, TABLES, Methods, run

METHODS: Methods = {
    "nasnet": ("nasnet", {}),
    "nasnet reinforce": ("nasnet", {"method": "reinforce"}),
    "nasnet paper": ("nasnet", {"preset": "paper"}),
    "pnas": ("pnas", {}),
    "nao": ("nao", {}),
}
BESIDE = ("gates", "gates alone", "evolution 20/10", "random")
# Test accuracy (%) on CIFAR-10 of the architecture that a search ends with, X. Dong and Y. Yang, ICLR 2020, table 5: means of
# 500 runs of 12,000 seconds of training and validation, which are about a hundred evaluations, with twelve epochs each.
PUBLISHED = {"REINFORCE": 93.85, "regularized evolution (REA)": 93.92, "random": 93.70, "the best": 94.37}


def run_all(script: Script, rows: Rows) -> None:
    """Run what is not in the file yet."""
    held = cache(lambda bench: TABLES[bench](data("nasbench101.parquet", "nasbench201.parquet")))
    for bench in script.arguments.benches:
        for seed in script.seeds:
            for method in script.arguments.only:
                rows.get(
                    lambda bench=bench, method=method, seed=seed: run(METHODS[method], bench, held(bench), seed),
                    bench=bench,
                    method=method,
                    seed=seed,
                )


def report(script: Script, rows: Rows) -> None:
    """Print a table for each benchmark, with the rows of `BESIDE` for the same seeds, and the published accuracies."""
    beside = Rows(script.arguments.beside)
    for bench, length in LENGTHS.items():
        found = {method: rows.select(bench=bench, method=method) for method in METHODS}
        if not any(found.values()):
            continue
        seeds = set(script.seeds)
        others = {name: [row for row in beside.select(bench=bench, method=name) if row["seed"] in seeds] for name in BESIDE}
        counts = [count for count in COUNTS if count <= length]
        shown = {**{name: each for name, each in found.items() if each}, **{name: each for name, each in others.items() if each}}
        table(columns(counts), [line(name, each, length, counts) for name, each in shown.items()], title=bench)
    cells = [
        [f"{name}, 100 evaluations", f"{np.mean([best_after(row, 100) for row in each]):.2f}"]
        for name in (*METHODS, *BESIDE)
        if (each := rows.select(bench="nasbench201", method=name) or beside.select(bench="nasbench201", method=name))
    ]
    published = [[f"{name}, published", f"{accuracy:.2f}"] for name, accuracy in PUBLISHED.items()]
    table(["NAS-Bench-201, test accuracy on CIFAR-10 (%)", "mean"], [*published, *cells])


def main() -> None:
    script = Script(__file__, __doc__, seeds=20)
    script.argument("--benches", nargs="+", choices=LENGTHS, default=["nasbench201", "nasbench101"])
    script.argument("--only", nargs="+", choices=METHODS, default=["nasnet", "pnas", "nao"], help="methods")
    script.argument(
        "--beside", type=Path, default=FOLDER / "results" / "gates_search.jsonl", metavar="FILE", help="rows of other searchers"
    )
    script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: run_all(script, rows), lambda rows: report(script, rows))


if __name__ == "__main__":
    main()
