"""Reconstruction and generation of the architectures of the ENAS table by NGAE, beside the published figures.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.table1              # three seeds, some five minutes each on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.table1 --seeds 1

The folder holds enas6.parquet: 17,118 architectures to learn from and 1,902 to test, the split of D-VAE. Protocols are those of
`archsearch.evaluators.ngae.quality`. A row is one fit with all its checkpoints; the fitted models stay beside the file of rows,
for ngae/predict.py. The accuracies of this table do not depend on the operators (see ngae/predict.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from archsearch.evaluators import NGAE, metrics
from archsearch.evaluators.ngae.quality import generation, reconstruction
from archsearch.evaluators.ngae.training import Epoch
from archsearch.spaces import Architecture
from archsearch.spaces.enas import ENAS
from benchmarks import frame
from benchmarks.frame import Row, Rows, Script

# Accuracy, validity, uniqueness, novelty (%): J. Li et al., arXiv 2006.10310, table 1; the others as quoted.
PUBLISHED = {
    "NGAE, 100 epochs": "82.83 | | 99.98 | 51.55 | | 100",
    "NGAE, 200 epochs": "99.97 | | 100 | 42.05 | | 100",
    "NGAE, 300 epochs": "99.99 | | 100 | 38.56 | | 100",
    "D-VAE": "99.96 | | 100 | 37.26 | | 100",
    "DIGGED (another protocol of uniqueness)": "100 | | 100 | | 98.7 | 99.9",
}
CHECKPOINTS = (2, 5, 10)
TESTED = 200  # architectures that a checkpoint reconstructs ten times; the last one reconstructs all a hundred times
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
    table = pq.read_table(frame.data("enas6.parquet") / "enas6.parquet").to_pandas()
    rows = table[table.dvae_split == split].sort_values("dvae_order")
    space = ENAS(6)
    architectures = [space.parse(row) for row in rows.row]
    complexity = np.array([proxy(each) for each in architectures]) / LARGEST_COMPLEXITY
    return Table(architectures, rows.accuracy.to_numpy(dtype=np.float64), complexity)


def proxy(architecture: Architecture) -> float:
    """Return the complexity as the authors' programs compute it: the sum over vertices of 48 n d.

    n is the number that COMPLEXITY gives the operator of the vertex (48 for the output, 0 for the input), d its in-degree.
    """
    space = ENAS(6)
    graph = space.graphs(architecture)[0]
    degrees = graph.adjacency.sum(axis=0)
    numbers = [48 if name == "output" else COMPLEXITY.get(name, 0) for name in graph.operators]
    return float(48 * sum(number * degree for number, degree in zip(numbers, degrees, strict=True)))


def measure(seed: int, epochs: int, folder: Path) -> dict[str, list[Row]]:
    """Fit one model; return the figures of each checkpoint, and keep the model."""
    train, test = load("train"), load("test")
    model = NGAE(ENAS(6), seed, epochs=epochs)
    found: list[Row] = []

    def checkpoint(epoch: int, shown: Epoch) -> None:
        last = epoch == epochs
        if last or epoch in CHECKPOINTS:
            found.append(check(model, seed, epoch, shown, train, test, last))
            print(", ".join(f"{name} {value:.4g}" for name, value in found[-1].items()), flush=True)

    model.fit(train.architectures, train.accuracy, train.complexity, on_epoch=checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(model.state(), folder / f"ngae_enas6_{seed}.pt")
    return {"checkpoints": found}


def check(model: NGAE, seed: int, epoch: int, shown: Epoch, train: Table, test: Table, last: bool) -> Row:
    """Return the figures of a model after some epochs."""
    tested = test.architectures if last else test.architectures[:TESTED]
    ten, one = generation(model, train.architectures, decodes=10, seed=seed), generation(model, train.architectures, decodes=1)
    predicted = model.predict(test.architectures)
    return {
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


def report(rows: Rows) -> None:
    """Print the table: means over seeds."""
    lines: list[list[object]] = [
        [f"{name}: published", *map(str.strip, figures.split("|")), None] for name, figures in PUBLISHED.items()
    ]
    checkpoints = [each for row in rows.all() for each in row["checkpoints"]]
    for epoch in sorted({each["epoch"] for each in checkpoints}):
        found = [each for each in checkpoints if each["epoch"] == epoch]
        names = ("drawn", "likelier", "valid", "unique_of_10", "unique_of_1", "novel")
        figures = [f"{100 * np.mean([each[name] for each in found]):.2f}" for name in names]
        seconds, error, r = (np.mean([each[name] for each in found]) for name in ("seconds", "rmse", "pearson"))
        lines.append([f"here, {epoch} epochs, {len(found)} seeds", *figures, f"{seconds:.0f}, {error:.3f}, {r:.3f}"])
    columns = [
        "",
        "accuracy %, drawn",
        "likelier decisions",
        "valid %",
        "unique %: 10 decodes",
        "1",
        "novel %",
        "CPU s, RMSE / sd, r",
    ]
    frame.table(columns, lines)


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--epochs", type=int, default=20)
    arguments = script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        for seed in script.seeds:
            rows.get(lambda seed=seed: measure(seed, arguments.epochs, arguments.out.parent), seed=seed, epochs=arguments.epochs)

    script.run(run, report)


if __name__ == "__main__":
    main()
