"""How well a GHN on CIFAR-10 images ranks the cells of NAS-Bench-201 and NAS-Bench-101, whose trained accuracies are published.

    ARCHSEARCH_DATA=FOLDER python benchmarks/ghn_tables.py                      # both tables; two hours on one core, in pieces
    ARCHSEARCH_DATA=FOLDER python benchmarks/ghn_tables.py --benches nasbench201 --only ghn
    ARCHSEARCH_DATA=FOLDER python benchmarks/ghn_tables.py --print              # what is there so far

A variant of the correlation protocol of the GHN paper (section 5.3) that needs no training for its truth: 100 random cells with
the published test accuracies after the benchmark's full training on CIFAR-10, all of them and the better 50. The networks that
are scored here are small (8 channels, one cell a stage) and learn from the 16,000 images of the folder, less those that score
them. Each score is a line of a file; models in training are kept beside it, so that the program may be stopped at any time.
Settings were chosen on other cells.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from ghn_correlation import PUBLISHED, correlations, trained
from rows import read, write

from archsearch.evaluators import GHN, Evaluator, OneShot, SGDSteps
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

CELLS, CELL_SEED = 100, 20_181_013
# Channels and cells of the small networks, by benchmark.
SCALES = {"nasbench201": {"channels": 8, "cells_per_stage": 1}, "nasbench101": {"channels": 8, "cells_per_stack": 1}}
COLUMNS = {"nasbench201": "cifar10_test", "nasbench101": "test_acc"}
SEEDS = 2  # hypernetworks; of the others there is one


def population(bench: str, folder: Path) -> tuple[SearchSpace, list[Architecture], np.ndarray]:
    """Return space, random cells and their accuracies (%)."""
    table = pq.read_table(folder / f"{bench}.parquet")
    chosen = np.random.default_rng(CELL_SEED).permutation(len(table))[:CELLS]
    rows = table.take(chosen)
    accuracies = rows[COLUMNS[bench]].to_numpy().astype(np.float64)
    if bench == "nasbench201":
        cells = NASBench201()
        return cells, [cells.parse(text) for text in rows["arch"].to_pylist()], accuracies
    space = NASBench101()
    pairs = zip(rows["adjacency"].to_pylist(), rows["ops"].to_pylist(), strict=True)
    return space, [space.from_adjacency(bits, operators) for bits, operators in pairs], accuracies


def methods(space: SearchSpace, bench: str, arguments: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Evaluator]]]:
    """Yield name and evaluator of what is compared."""
    images = f"parquet:{Path(os.environ['ARCHSEARCH_DATA']) / 'cifar10_train.parquet'}"
    shared: dict[str, Any] = {"scale": SCALES[bench], "device": arguments.device}
    for seed in range(SEEDS):
        yield f"ghn {seed}", lambda seed=seed: GHN(space, images, seed, **shared)
    yield "ghn-paper 0", lambda: GHN(space, images, 0, preset="paper", **shared)
    yield "one-shot 0", lambda: OneShot(space, images, 0, **shared)
    for steps in (10, 100):
        yield f"sgd {steps} 0", lambda steps=steps: SGDSteps(space, images, steps, 1, **shared)


def compute(bench: str, arguments: argparse.Namespace) -> None:
    """Score what is not in the file yet."""
    space, architectures, _ = population(bench, Path(os.environ["ARCHSEARCH_DATA"]))
    folder = arguments.results.with_suffix("") / bench
    for name, make in methods(space, bench, arguments):
        known = {row["cell"] for row in read(arguments.results) if (row["bench"], row["method"]) == (bench, name)}
        missing = [at for at in range(CELLS) if at not in known]
        if not missing or (arguments.only and name.rpartition(" ")[0] not in arguments.only):
            continue
        evaluator, initial = make(), 0.0
        if isinstance(evaluator, GHN | OneShot):
            initial = trained(name, evaluator, arguments.steps, folder)
        for at in missing:
            [found] = evaluator.evaluate([architectures[at]])
            row = {"bench": bench, "method": name, "cell": at, "initial": initial, "seconds": found.seconds}
            row |= {"accuracy": found.score, "loss": found.metrics.get("valid_loss")} if found.ok else {"error": found.error}
            write(arguments.results, row)
        print(f"{bench}, {name}: done", flush=True)


def report(bench: str, rows: list[dict[str, Any]], folder: Path) -> None:
    """Print the table of a benchmark as Markdown."""
    space, architectures, truth = population(bench, folder)
    print(f"\n### {bench}\n")
    print(
        "| method, ranked by | initial s | s each | Rand-100: Pearson | Spearman | Kendall | Top-50: Pearson | Spearman "
        "| published Rand, Top |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row["method"] for row in rows):
        found = {row["cell"]: row for row in rows if row["method"] == name and "accuracy" in row}
        if len(found) < CELLS:
            continue
        ordered = [found[at] for at in range(CELLS)]
        cost = f"{ordered[0]['initial']:.0f} | {np.mean([row['seconds'] for row in ordered]):.3f}"
        published = ", ".join(PUBLISHED.get(name.rpartition(" ")[0], ("", "")))
        accuracy, loss = (np.array([row[figure] for row in ordered]) for figure in ("accuracy", "loss"))
        print(f"| {name}, accuracy | {cost} | {correlations(truth, accuracy)} | {published} |")
        print(f"| {name}, loss | | | {correlations(truth, -loss)} | |")
    costs = [space.cost(architecture, **SCALES[bench]) for architecture in architectures]
    for name in ("params", "macs"):
        print(
            f"| {name} | 0 | 0 | {correlations(truth, np.array([float(getattr(cost, name)) for cost in costs]))} | |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benches", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--only", nargs="+", help="only these: ghn, ghn-paper, one-shot, sgd")
    parser.add_argument("--steps", type=int, default=1500, help="of hypernetworks and one-shot networks (default: 1500)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=Path("runs/ghn_tables.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the tables of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if "ARCHSEARCH_DATA" not in os.environ:
        raise SystemExit("ARCHSEARCH_DATA: name the folder with the tables and cifar10_train.parquet.")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    for bench in arguments.benches:
        if not arguments.print:
            compute(bench, arguments)
        report(bench, [row for row in read(arguments.results) if row["bench"] == bench], Path(os.environ["ARCHSEARCH_DATA"]))


if __name__ == "__main__":
    main()
