"""Ranking of the cells of NAS-Bench-201 and NAS-Bench-101, whose trained accuracies are published, by a GHN on CIFAR-10 images.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.tables                      # both tables; two hours on one core, in pieces
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.tables --benches nasbench201 --only ghn

The folder holds nasbench101.parquet, nasbench201.parquet, cifar10_train.parquet and cifar10_test.parquet. A variant of the
correlation protocol of the GHN paper (section 5.3) that needs no training for its truth: 100 random cells with the published test
accuracies after the benchmark's full training on CIFAR-10, all of them and the better 50. The networks that are scored here are
small (8 channels, one cell a stage) and learn from the 16,000 images of the folder, less those that score them. Models in
training are kept beside the file of rows. Settings were chosen on other cells.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from archsearch.evaluators import GHN, Evaluator, OneShot, SGDSteps
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks import frame
from benchmarks.frame import Rows, Script
from benchmarks.ghn.correlation import CORRELATIONS, PUBLISHED, correlations, trained

CELLS, CELL_SEED = 100, 20_181_013
# Channels and cells of the small networks, by benchmark.
SCALES = {"nasbench201": {"channels": 8, "cells_per_stage": 1}, "nasbench101": {"channels": 8, "cells_per_stack": 1}}
COLUMNS = {"nasbench201": "cifar10_test", "nasbench101": "test_acc"}


def population(
    bench: str, folder: Path, number: int = CELLS, seed: int = CELL_SEED
) -> tuple[SearchSpace, list[Architecture], np.ndarray]:
    """Return space, random cells and their accuracies (%)."""
    table = pq.read_table(folder / f"{bench}.parquet")
    chosen = np.random.default_rng(seed).permutation(len(table))[:number]
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
    images = f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    shared: dict[str, Any] = {"scale": SCALES[bench], "device": arguments.device}
    scored_by = {"evaluation_images": arguments.images}
    for seed in range(arguments.seeds):
        yield f"ghn {seed}", lambda seed=seed: GHN(space, images, seed, **shared, **scored_by)
    for seed in range(arguments.seeds):
        yield f"ghn-paper {seed}", lambda seed=seed: GHN(space, images, seed, preset="paper", **shared, **scored_by)
    yield "one-shot 0", lambda: OneShot(space, images, 0, **shared)
    for steps in (10, 100):
        yield f"sgd {steps} 0", lambda steps=steps: SGDSteps(space, images, steps, 1, **shared)


def compute(bench: str, arguments: argparse.Namespace, rows: Rows) -> None:
    """Score what is not in the file yet."""
    space, architectures, _ = population(bench, frame.data(f"{bench}.parquet"))
    folder = arguments.out.with_suffix("") / bench
    for name, make in methods(space, bench, arguments):
        if arguments.only and name.rpartition(" ")[0] not in arguments.only:
            continue

        @cache
        def ready(name: str = name, make: Callable[[], Evaluator] = make) -> tuple[Evaluator, float]:
            evaluator = make()
            trains = isinstance(evaluator, GHN | OneShot)
            return evaluator, trained(name, evaluator, arguments.steps, folder) if trains else 0.0

        def scored(cell: int, ready: Callable[[], tuple[Evaluator, float]] = ready) -> dict[str, Any]:
            evaluator, initial = ready()
            [found] = evaluator.evaluate([architectures[cell]])
            outcome = {"accuracy": found.score, "loss": found.metrics.get("valid_loss")} if found.ok else {"error": found.error}
            return {"initial": initial, "seconds": found.seconds, **outcome}

        for cell in range(CELLS):
            rows.get(partial(scored, cell), bench=bench, method=name, cell=cell)


def report(bench: str, rows: Rows) -> None:
    """Print the table of a benchmark."""
    space, architectures, truth = population(bench, frame.data(f"{bench}.parquet"))
    lines: list[list[object]] = []
    for name in dict.fromkeys(row["method"] for row in rows.select(bench=bench)):
        found = {row["cell"]: row for row in rows.select(bench=bench, method=name) if "accuracy" in row}
        if len(found) < CELLS:
            continue
        ordered = [found[cell] for cell in range(CELLS)]
        cost = f"{ordered[0]['initial']:.0f}", f"{np.mean([row['seconds'] for row in ordered]):.3f}"
        published = ", ".join(PUBLISHED.get(name.rpartition(" ")[0], ()))
        accuracy, loss = (np.array([row[figure] for row in ordered]) for figure in ("accuracy", "loss"))
        lines.append([f"{name}, accuracy", *cost, *correlations(truth, accuracy), published])
        lines.append([f"{name}, loss", None, None, *correlations(truth, -loss), None])
    costs = [space.cost(architecture, **SCALES[bench]) for architecture in architectures]
    for name in ("params", "macs"):
        lines.append([name, 0, 0, *correlations(truth, np.array([float(getattr(cost, name)) for cost in costs])), None])
    frame.table(CORRELATIONS, lines, title=f"{bench}: {CELLS} random cells")


def main() -> None:
    script = Script(__file__, __doc__, seeds=2)  # hypernetworks; of the others there is one
    script.argument("--benches", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    script.argument("--only", nargs="+", help="only these: ghn, ghn-paper, one-shot, 'sgd 10', 'sgd 100'")
    script.argument("--steps", type=int, default=1500, help="of hypernetworks and one-shot networks (default: 1500)")
    script.argument("--images", type=int, default=0, help="validation images that score a cell (default: 0, all)")
    script.argument("--device", default="auto")
    arguments = script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        for bench in arguments.benches:
            compute(bench, arguments, rows)

    def show(rows: Rows) -> None:
        for bench in arguments.benches:
            report(bench, rows)

    script.run(run, show)


if __name__ == "__main__":
    main()
