"""The table `digits201`: every distinct NAS-Bench-201 cell, trained for real on scikit-learn's digits.

    python -m benchmarks.tables.digits201 train --first-seed 2 --seeds 2    # adds seeds; hours; stop and start it at will
    python -m benchmarks.tables.digits201 assemble                          # writes the table of the package

The folder `benchmarks/tables/digits201-parts` holds what the table of the package was assembled from.
Each of the 6,466 cells is trained with several seeds at once, as independent replicas side by side in one stacked network.
Parts of 50 cells are written atomically, so that nothing is trained twice after a stop.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.stats import kendalltau

from archsearch import spaces
from archsearch.atomic_file import written_atomically
from archsearch.evaluators.datasets import load, resident
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.replicas import stacked_network
from archsearch.evaluators.training.scoring import Score, score
from archsearch.spaces.architecture import Architecture

CELLS_PER_PART = 50
SCALE = {"channels": 4, "cells_per_stage": 1}
RECIPE = Recipe(epochs=4, batch_size=64, learning_rate=0.1)
TABLE = Path(__file__).parents[2] / "archsearch" / "evaluators" / "tables" / "digits201.parquet"
FIGURES = ("valid_accuracy", "valid_loss", "test_accuracy", "test_loss")


def distinct_cells() -> list[Architecture]:
    """Return one cell of each structure: the first in the order of genotypes."""
    space = spaces.get("nasbench201")
    cells: dict[str, Architecture] = {}
    for genotype in itertools.product(range(5), repeat=6):
        cell = space.from_genotype(genotype)
        cells.setdefault(space.key(cell), cell)
    return list(cells.values())


def train_cell(cell: Architecture, seeds: range, data: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, object]:
    """Train one cell with several seeds; return its row, with figures `[seeds, epochs]`."""
    space, started = spaces.get("nasbench201"), time.perf_counter()
    (images, labels), validation, test = data
    weights = [torch.Generator().manual_seed(seed) for seed in seeds]
    batches = [torch.Generator().manual_seed(10_000 + seed) for seed in seeds]
    network = stacked_network(space, cell, 10, 1, weights, SCALE)
    history: list[tuple[Score, Score]] = []

    def measure(epoch: int) -> None:
        history.append((score(network, *validation, len(seeds)), score(network, *test, len(seeds))))

    train(network, images, labels, RECIPE, batches, measure)
    seconds = (time.perf_counter() - started) / len(seeds)
    figures = {
        f"{part}_{figure}": torch.stack([getattr(epoch[index], figure) for epoch in history], dim=1).flatten().tolist()
        for index, part in enumerate(("valid", "test"))
        for figure in ("accuracy", "loss")
    }
    return {"architecture": str(cell), "seconds": seconds, "seeds": list(seeds), **figures}


def work(folder: Path, parts: list[int], seeds: range) -> None:
    """Train the cells of some parts, one part after the other, each written atomically."""
    torch.set_num_threads(1)
    splits = load("digits")
    mean, std = splits.train.statistics()
    residents = [resident(part, mean, std, torch.device("cpu")) for part in splits]
    data = [(part.images, part.labels) for part in residents]
    cells = distinct_cells()
    for part in parts:
        path = folder / f"seeds{seeds.start}-{seeds.stop - 1}-part{part:03d}.parquet"
        if not path.exists():
            chunk = cells[part * CELLS_PER_PART : (part + 1) * CELLS_PER_PART]
            rows = [train_cell(cell, seeds, data) for cell in chunk]
            with written_atomically(path) as temporary:
                pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")


def run(folder: Path, workers: int, seeds: range) -> None:
    """Train all parts that are missing in several processes, and print how many are done."""
    folder.mkdir(parents=True, exist_ok=True)
    num_parts = -(-len(distinct_cells()) // CELLS_PER_PART)
    pattern = f"seeds{seeds.start}-{seeds.stop - 1}-part*.parquet"
    # A random order makes the parts that are done at any time a fair sample of the space.
    order = [int(part) for part in np.random.default_rng(0).permutation(num_parts)]
    todo = [part for part in order if not (folder / pattern.replace("*", f"{part:03d}")).exists()]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work, args=(folder, todo[worker::workers], seeds)) for worker in range(workers)]
    started, before = time.time(), num_parts - len(todo)
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        time.sleep(30)
        done = len(list(folder.glob(pattern)))
        left = (time.time() - started) / max(done - before, 1) * (num_parts - done)
        print(f"{done}/{num_parts} parts, {left / 60:.0f} min left", flush=True)


def assemble(folder: Path) -> None:
    """Write the table and print how well it ranks."""
    space = spaces.get("nasbench201")
    rows: dict[str, list[dict[str, object]]] = {}
    for path in sorted(folder.glob("seeds*.parquet")):
        for row in pq.read_table(path).to_pylist():
            rows.setdefault(row["architecture"], []).append(row)
    cells = distinct_cells()
    missing = [str(cell) for cell in cells if str(cell) not in rows]
    if missing:
        raise SystemExit(f"{len(missing)} of {len(cells)} cells are not trained yet; run train again.")
    counts = {part: len(getattr(load("digits"), name)) for part, name in (("valid", "validation"), ("test", "test"))}
    columns: dict[str, object] = {"architecture": [str(cell) for cell in cells]}
    runs = [sorted(rows[str(cell)], key=lambda row: row["seeds"][0]) for cell in cells]
    num_seeds = min(sum(len(row["seeds"]) for row in run) for run in runs)
    histories = {name: _histories(runs, name, num_seeds) for name in FIGURES}
    for name in FIGURES:
        columns[name] = pa.array(histories[name][:, :, -1].mean(1), pa.float32())
    costs = [space.cost(cell, (1, 8, 8), 10, **SCALE) for cell in cells]
    columns["params"] = pa.array([cost.params for cost in costs], pa.int32())
    columns["macs"] = pa.array([cost.macs for cost in costs], pa.int32())
    columns["seconds"] = pa.array([np.mean([row["seconds"] for row in run]) for run in runs], pa.float32())
    for part in ("valid", "test"):
        correct = np.rint(histories[f"{part}_accuracy"] * counts[part]).astype(np.uint16)
        columns[f"{part}_correct"] = pa.array(correct.reshape(len(cells), -1).tolist(), pa.list_(pa.uint16(), correct[0].size))
        columns[f"{part}_loss_by_seed"] = pa.array(
            histories[f"{part}_loss"][:, :, -1].astype(np.float16).tolist(), pa.list_(pa.float16(), num_seeds)
        )
    card = {
        "archsearch.space": space.name,
        "archsearch.chance": "0.1",
        "archsearch.cost": json.dumps({"input_shape": [1, 8, 8], "num_classes": 10, **SCALE}),
        "description": "every distinct NAS-Bench-201 cell trained on scikit-learn's digits",
        "recipe": json.dumps(asdict(RECIPE)),
        "scale": json.dumps(SCALE),
        "seeds": str(num_seeds),
        "columns": "valid_correct, test_correct: images right, [seeds x epochs] row by row; the others: mean over seeds",
        "images": json.dumps(counts),
    }
    table = pa.table(columns).replace_schema_metadata(card)
    TABLE.parent.mkdir(exist_ok=True)
    pq.write_table(table, TABLE, compression="zstd", compression_level=19, use_dictionary=True)
    print(f"{TABLE}: {table.num_rows} rows, {num_seeds} seeds, {TABLE.stat().st_size / 1e6:.2f} MB")
    _report(histories, num_seeds)


def _histories(runs: list[list[dict[str, object]]], name: str, num_seeds: int) -> np.ndarray:
    """Return a figure as `[cells, seeds, epochs]`."""
    return np.array([np.concatenate([np.reshape(row[name], (len(row["seeds"]), -1)) for row in run])[:num_seeds] for run in runs])


def _report(histories: dict[str, np.ndarray], num_seeds: int) -> None:
    for name, values in histories.items():
        final = values[:, :, -1]
        pairs = [kendalltau(final[:, a], final[:, b])[0] for a, b in itertools.combinations(range(num_seeds), 2)]
        mean = final.mean(1)
        quantiles = ", ".join(f"{value:.4f}" for value in np.quantile(mean, (0, 0.1, 0.5, 0.9, 1)))
        print(f"{name}: tau between two seeds {np.mean(pairs):.3f}; min, 10 %, median, 90 %, max of the mean: {quantiles}")
        if num_seeds >= 4:
            halves = kendalltau(final[:, ::2].mean(1), final[:, 1::2].mean(1))[0]
            print(f"  tau between the means of {num_seeds // 2} and {num_seeds // 2} seeds {halves:.3f}")
    for score_name in ("valid_accuracy", "valid_loss"):
        tau = kendalltau(histories[score_name][:, :, -1].mean(1), histories["test_accuracy"][:, :, -1].mean(1))[0]
        print(f"tau({score_name}, test_accuracy) of the means {tau:.3f}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables.digits201", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("train", "assemble"))
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "digits201-parts")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=4, help="seeds trained side by side in this pass")
    arguments = parser.parse_args()
    if arguments.action == "assemble":
        assemble(arguments.folder)
    else:
        run(arguments.folder, arguments.workers, range(arguments.first_seed, arguments.first_seed + arguments.seeds))


if __name__ == "__main__":
    main()
