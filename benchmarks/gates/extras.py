"""Additions to the GATES of the paper, each measured alone: does it rank better than the default preset?

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.gates.extras     # some ten minutes on one core

The folder holds nasbench101.parquet and nasbench201.parquet. Targets are those of gates/kendall.py; tested are 5,000 rows of the
pool that training rows are drawn from, so that the test rows of that script play no part in choosing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from archsearch.evaluators import Predictor, metrics
from benchmarks.frame import Row, Rows, Script, average, data, table
from benchmarks.gates.kendall import TESTED, Data, load

SIZES = (("nasbench201", 78), ("nasbench201", 390), ("nasbench101", 190))
SUBSETS, CHECKED, UNLABELLED = 6, 5000, 2000
COSTS = {"nasbench101": ("params", "flops"), "nasbench201": ("params_cifar10", "flops_cifar10")}
Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Split:
    """A subset to learn from, and rows of the same pool to check on.

    Args:
        name: The benchmark.
        bench: Its table.
        size: Architectures to learn from.
        subset: Number of the subset, and seed of the predictor.
    """

    def __init__(self, name: str, bench: Data, size: int, subset: int) -> None:
        pool = len(bench.scores) - TESTED if name == "nasbench101" else (len(bench.scores) + 1) // 2
        order = np.random.default_rng([1, subset]).permutation(len(bench.scores) if name == "nasbench201" else pool)[:pool]
        self.name, self.data, self.seed = name, bench, subset
        self.learned, self.checked, self.others = np.split(order[: size + CHECKED + UNLABELLED], [size, size + CHECKED])

    def fitted(self, rows: Numbers, warm: Predictor | None = None, targets: Vector | None = None, **options: Any) -> Predictor:
        """Return a predictor that learned some rows."""
        predictor = warm or Predictor(self.data.space, seed=self.seed, **options)
        scores = self.data.scores[rows] if targets is None else targets[rows]
        return predictor.fit(self.data.batch[rows], scores, warm=warm is not None, epochs=200)

    def predicted(self, predictor: Predictor, rows: Numbers | None = None) -> Vector:
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
    file = f"{name}.parquet"
    return np.asarray(pq.read_table(data(file) / file, columns=[title])[title].to_numpy(), float)


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


def run(rows: Rows) -> None:
    """Measure what is not in the file yet."""
    held = cache(load)

    def measured(name: str, size: int, subset: int, method: str) -> dict[str, float]:
        split = Split(name, held(name), size, subset)
        truth, predicted = split.data.scores[split.checked], METHODS[method](split)
        precision = metrics.precision_at_k(truth, predicted, 0.01)
        return {"tau": metrics.kendall_tau(truth, predicted), "precision": precision}

    for name, size, subset, method in wanted():
        rows.get(partial(measured, name, size, subset, method), space=name, size=size, subset=subset, method=method)


def report(rows: Rows) -> None:
    """Print the table; differences to the default are those on the same subsets."""
    columns = ["", *(f"{name}, {size}: tau, difference, P@1 %" for name, size in SIZES)]
    table(columns, ([method, *(line(rows, name, size, method) for name, size in SIZES)] for method in METHODS))


def line(rows: Rows, name: str, size: int, method: str) -> str:
    """Return tau, the gain over the default with its 95 % interval, and the precision at 1 % of a method."""
    base = {row["subset"]: row["tau"] for row in rows.select(space=name, size=size, method="default")}
    found: list[Row] = rows.select(space=name, size=size, method=method)
    if not found:
        return ""
    gains = [row["tau"] - base[row["subset"]] for row in found if row["subset"] in base]
    gain = f", {average(gains, 3, signed=True)}" if len(gains) > 1 and method != "default" else ""
    tau, precision = (np.mean([row[figure] for row in found]) for figure in ("tau", "precision"))
    return f"{tau:.3f}{gain}, {precision:.2f}"


def main() -> None:
    script = Script(__file__, __doc__)
    script.parse()
    torch.set_num_threads(1)
    script.run(run, report)


if __name__ == "__main__":
    main()
