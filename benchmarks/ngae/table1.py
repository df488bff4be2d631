"""How well NGAE reconstructs and generates the architectures of the ENAS table, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_table1.py              # three seeds, some five minutes each on one core
    ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_table1.py --seeds 1
    ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_table1.py --print      # what is there so far

The folder holds enas6.parquet: 17,118 architectures to learn from and 1,902 to test, the split of D-VAE. Protocols are those of
`archsearch.evaluators.ngae.quality`. Each checkpoint is a line of a file as it comes; the fitted models stay beside it, for
ngae_predict.py. The accuracies of this table do not depend on the operators (see ngae_predict.py).
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from rows import read, write

from archsearch.evaluators import NGAE, metrics
from archsearch.evaluators.ngae.quality import generation, reconstruction
from archsearch.evaluators.ngae.training import Epoch
from archsearch.spaces import Architecture
from archsearch.spaces.enas import ENAS

# Accuracy, validity, uniqueness, novelty (%): J. Li et al., arXiv 2006.10310, table 1; the others as quoted.
PUBLISHED = {
    "NGAE, 100 epochs": "82.83 | | 99.98 | 51.55 | | 100",
    "NGAE, 200 epochs": "99.97 | | 100 | 42.05 | | 100",
    "NGAE, 300 epochs": "99.99 | | 100 | 38.56 | | 100",
    "D-VAE": "99.96 | | 100 | 37.26 | | 100",
    "DIGGED (another protocol of uniqueness)": "100 | | 100 | | 98.7 | 99.9",
}
CHECKPOINTS = (2, 5, 10)
TESTED = 200  # architectures that a checkpoint reconstructs a hundred times; the last one takes all
COMPLEXITY = {"conv3x3": 10, "sep3x3": 10, "conv5x5": 26, "sep5x5": 26, "avg3x3": 1, "max3x3": 1}
LARGEST_COMPLEXITY = 28_512.0


@dataclass(frozen=True)
class Table:
    """The rows of a split: architectures, accuracy (fraction), complexity (of the densest, 1)."""

    architectures: list[Architecture]
    accuracy: NDArray[np.float64]
    complexity: NDArray[np.float64]


def load(split: str) -> Table:
    """Read the rows of a split, `train` or `test`, in the order of D-VAE."""
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        raise SystemExit("ARCHSEARCH_DATA is unset; set it to the folder with enas6.parquet")
    table = pq.read_table(Path(folder) / "enas6.parquet").to_pandas()
    rows = table[table.dvae_split == split].sort_values("dvae_order")
    space = ENAS(6)
    architectures = [space.parse(row) for row in rows.row]
    complexity = np.array([proxy(each) for each in architectures]) / LARGEST_COMPLEXITY
    return Table(architectures, rows.accuracy.to_numpy(dtype=np.float64), complexity)


def proxy(architecture: Architecture) -> float:
    """Return the measure of computation of the authors' programs: 48 times the operator's number times the edges into it."""
    space = ENAS(6)
    graph = space.graphs(architecture)[0]
    degrees = graph.adjacency.sum(axis=0)
    numbers = [48 if name == "output" else COMPLEXITY.get(name, 0) for name in graph.operators]
    return float(48 * sum(number * degree for number, degree in zip(numbers, degrees, strict=True)))


def measure(seed: int, epochs: int, folder: Path, results: Path, settings: dict[str, Any]) -> None:
    """Fit one model; write what each checkpoint shows, and the model at the end."""
    train, test = load("train"), load("test")
    model = NGAE(ENAS(6), seed, epochs=epochs, **settings)

    def checkpoint(epoch: int, shown: Epoch) -> None:
        last = epoch == epochs
        if last or epoch in CHECKPOINTS:
            keep(check(model, seed, epoch, shown, train, test, last), results)

    model.fit(train.architectures, train.accuracy, train.complexity, on_epoch=checkpoint)
    torch.save(model.state(), folder / f"ngae_enas6_{seed}.pt")


def check(model: NGAE, seed: int, epoch: int, shown: Epoch, train: Table, test: Table, last: bool) -> dict[str, Any]:
    """Return what a model can do after some epochs."""
    tested = test.architectures if last else test.architectures[:TESTED]
    ten, one = generation(model, train.architectures, decodes=10, seed=seed), generation(model, train.architectures, decodes=1)
    predicted = model.predict(test.architectures)
    return {
        "seed": seed,
        "epoch": epoch,
        "seconds": shown.seconds,
        "nats": shown.reconstruction,
        "divergence": shown.divergence,
        "drawn": reconstruction(model, tested, 100 if last else 10, seed),
        "likelier": reconstruction(model, tested),
        "valid": ten.valid,
        "unique_of_10": ten.unique,
        "unique_of_1": one.unique,
        "novel": ten.novel,
        "rmse": float(np.sqrt(np.mean((predicted - test.accuracy) ** 2)) / train.accuracy.std()),
        "pearson": metrics.pearson(test.accuracy, predicted),
    }


def keep(row: dict[str, Any], path: Path) -> None:
    """Add a row to the file, and print it."""
    write(path, row)
    print(", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table as Markdown."""
    print("\n| | accuracy %, drawn | likelier decisions | valid % | unique %: 10 decodes | 1 | novel % | CPU s, RMSE / sd, r |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, figures in PUBLISHED.items():
        print(f"| {name}: published | {figures} | |")
    for epoch in sorted({row["epoch"] for row in rows}):
        found = [row for row in rows if row["epoch"] == epoch]
        names = ("drawn", "likelier", "valid", "unique_of_10", "unique_of_1", "novel")
        figures = " | ".join(f"{100 * np.mean([row[name] for row in found]):.2f}" for name in names)
        seconds, error, r = (np.mean([row[name] for row in found]) for name in ("seconds", "rmse", "pearson"))
        print(f"| here, {epoch} epochs, {len(found)} seeds | {figures} | {seconds:.0f}, {error:.3f}, {r:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--results", type=Path, default=Path("runs/ngae_table1.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.print:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        for seed in range(arguments.seeds):
            if not any((row["seed"], row["epoch"]) == (seed, arguments.epochs) for row in read(arguments.results)):
                measure(seed, arguments.epochs, arguments.results.parent, arguments.results, {})
    report(read(arguments.results))


if __name__ == "__main__":
    main()
