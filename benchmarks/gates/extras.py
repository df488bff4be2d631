"""What goes beyond the GATES of the paper, each measured alone: does it rank better than the default preset?

    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_extras.py              # some ten minutes on one core
    ARCHSEARCH_DATA=FOLDER python benchmarks/gates_extras.py --print      # what is there so far

The folder holds nasbench101.parquet and nasbench201.parquet. Targets are those of gates_kendall.py; tested are 5,000 rows of the
pool that training rows are drawn from, so that the test rows of that script play no part in choosing.
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
from gates_kendall import TESTED, Data, load, spread
from numpy.typing import NDArray
from rows import read, write
from scipy.stats import rankdata

from archsearch.evaluators import Predictor, metrics

SIZES = (("nasbench201", 78), ("nasbench201", 390), ("nasbench101", 190))
SUBSETS, CHECKED, UNLABELLED = 6, 5000, 2000
COSTS = {"nasbench101": ("params", "flops"), "nasbench201": ("params_cifar10", "flops_cifar10")}
Vector = NDArray[np.float64]
Rows = NDArray[np.int64]


class Split:
    """A subset to learn from, and rows of the same pool to check on.

    Args:
        name: The benchmark.
        data: Its table.
        size: Architectures to learn from.
        subset: Number of the subset, and seed of the predictor.
    """

    def __init__(self, name: str, data: Data, size: int, subset: int) -> None:
        pool = len(data.scores) - TESTED if name == "nasbench101" else (len(data.scores) + 1) // 2
        order = np.random.default_rng([1, subset]).permutation(len(data.scores) if name == "nasbench201" else pool)[:pool]
        self.name, self.data, self.seed = name, data, subset
        self.learned, self.checked, self.others = np.split(order[: size + CHECKED + UNLABELLED], [size, size + CHECKED])

    def fitted(self, rows: Rows, warm: Predictor | None = None, targets: Vector | None = None, **options: Any) -> Predictor:
        """Return a predictor that learned some rows."""
        predictor = warm or Predictor(self.data.space, seed=self.seed, **options)
        scores = self.data.scores[rows] if targets is None else targets[rows]
        return predictor.fit(self.data.batch[rows], scores, warm=warm is not None, epochs=200)

    def predicted(self, predictor: Predictor, rows: Rows | None = None) -> Vector:
        """Return predictions of some rows; None takes those that are checked."""
        return predictor.predict(self.data.batch[self.checked if rows is None else rows])


def plain(split: Split) -> Vector:
    return split.predicted(split.fitted(split.learned))


def ensemble(split: Split) -> Vector:
    return split.predicted(split.fitted(split.learned, members=5))


def warm(split: Split) -> Vector:
    """Half of the rows first; then all, from there on: twice the epochs in all."""
    half = split.fitted(split.learned[: len(split.learned) // 2])
    return split.predicted(split.fitted(split.learned, half))


def pre_trained(split: Split) -> Vector:
    """Architectures without scores teach the number of parameters first."""
    return split.predicted(split.fitted(split.learned, split.fitted(split.others, targets=column(split.name, 0))))


def top_weighted(split: Split) -> Vector:
    """The best fifth counts three times."""
    best = split.learned[np.argsort(-split.data.scores[split.learned])[: len(split.learned) // 5]]
    return split.predicted(split.fitted(np.concatenate([split.learned, best, best])))


def stacked(split: Split, signals: list[Vector]) -> Vector:
    """Ranks of predictions and signals, weighted by a ridge regression on predictions from outside the fit (five parts)."""
    learned, scores = split.learned, split.data.scores[split.learned]
    outside = np.empty(len(learned))
    for part in range(5):
        held = np.arange(len(learned)) % 5 == part
        outside[held] = ranks(split.predicted(split.fitted(learned[~held]), learned[held]))
    given = np.stack([outside, *(ranks(signal[learned]) for signal in signals)], axis=1)
    weights = np.linalg.solve(given.T @ given + np.eye(given.shape[1]), given.T @ (ranks(scores)))
    asked = np.stack([ranks(plain(split)), *(ranks(signal[split.checked]) for signal in signals)], axis=1)
    return np.asarray(asked @ weights)


def ranks(values: Vector) -> Vector:
    """Return ranks with mean 0 and deviation 1."""
    found = rankdata(values)
    return np.asarray((found - found.mean()) / max(found.std(), 1e-9))


def column(name: str, cost: int | str) -> Vector:
    """Return a column of a benchmark's table: a cost by its place, or any by its name."""
    title = cost if isinstance(cost, str) else COSTS[name][cost]
    return np.asarray(
        pq.read_table(Path(os.environ["ARCHSEARCH_DATA"]) / f"{name}.parquet", columns=[title])[title].to_numpy(), float
    )


def with_costs(split: Split) -> Vector:
    return stacked(split, [column(split.name, place) for place in (0, 1)])


def with_few_epochs(split: Split) -> Vector:
    return stacked(split, [column(split.name, "cifar10_valid_e12")])


METHODS: dict[str, Callable[[Split], Vector]] = {
    "default": plain,
    "mean of five": ensemble,
    "warm refit": warm,
    "pre-trained on parameters of 2,000 others": pre_trained,
    "best fifth three times": top_weighted,
    "with parameters and MACs": with_costs,
    "with accuracy after 12 epochs": with_few_epochs,
}


def wanted() -> Iterator[tuple[str, int, int, str]]:
    """Yield benchmark, size, subset and method of each cell."""
    for name, size in SIZES:
        for subset in range(SUBSETS):
            for method in METHODS:
                if method != "with accuracy after 12 epochs" or name == "nasbench201":
                    yield name, size, subset, method


def run(path: Path) -> None:
    """Measure what is not in the file yet."""
    done = {(row["space"], row["size"], row["subset"], row["method"]) for row in read(path)}
    tables: dict[str, Data] = {}
    for name, size, subset, method in wanted():
        if (name, size, subset, method) in done:
            continue
        data = tables.setdefault(name, load(name)) if name not in tables else tables[name]
        split = Split(name, data, size, subset)
        truth, predicted = data.scores[split.checked], METHODS[method](split)
        row = {"space": name, "size": size, "subset": subset, "method": method, "tau": metrics.kendall_tau(truth, predicted)}
        row["precision"] = metrics.precision_at_k(truth, predicted, 0.01)
        write(path, row)
        print(f"{name} {size} subset {subset} {method}: tau {row['tau']:.4f}, P@1 % {row['precision']:.2f}", flush=True)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table as Markdown: differences to the default are those on the same subsets."""
    print("\n| | " + " | ".join(f"{name}, {size}: tau, difference, P@1 %" for name, size in SIZES) + " |")
    print("| --- |" + " --- |" * len(SIZES))
    for method in METHODS:
        cells = []
        for name, size in SIZES:
            base = {
                row["subset"]: row["tau"] for row in rows if (row["space"], row["size"], row["method"]) == (name, size, "default")
            }
            found = [row for row in rows if (row["space"], row["size"], row["method"]) == (name, size, method)]
            gains = [row["tau"] - base[row["subset"]] for row in found if row["subset"] in base]
            if not found:
                cells.append("")
                continue
            interval = metrics.mean_interval(gains) if len(gains) > 1 and method != "default" else None
            gain = f", {interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})" if interval else ""
            precision = np.mean([row["precision"] for row in found])
            cells.append(f"{spread([row['tau'] for row in found]).split(' ')[0]}{gain}, {precision:.2f}")
        print(f"| {method} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("runs/gates_extras.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.print:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        run(arguments.results)
    report(read(arguments.results))


if __name__ == "__main__":
    main()
