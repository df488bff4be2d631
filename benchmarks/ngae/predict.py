"""Accuracy that NGAE predicts, beside simple baselines and GATES.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.table1     # fits the models
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ngae.predict

The folder holds enas6.parquet, nasbench101.parquet and nasbench201.parquet. On ENAS the models are those of ngae/table1.py. The
accuracies of that table depend on its 15 skip bits alone, not on the operators, and 72 % of the test rows have bits that are in
the training rows too: what predicts best there is a look-up. On the other two tables each method learns from 1,000 random
architectures and is tested on 5,000 others; NGAE also reads 2,000 that have no accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import PolynomialFeatures

from archsearch.evaluators import NGAE, Predictor, metrics
from archsearch.spaces import Architecture
from archsearch.spaces.enas import ENAS
from benchmarks.frame import Rows, Script, table
from benchmarks.gates.kendall import Data
from benchmarks.gates.kendall import load as load_benchmark
from benchmarks.ngae.table1 import load

# RMSE in standard deviations of the training accuracies, and Pearson's r, on the test rows of ENAS.
PUBLISHED = {
    "NGAE (its programs' results)": "0.357 | about 0.93",
    "D-VAE and a sparse Gaussian process (as quoted)": "0.384 | 0.920",
    "DAGNN (as quoted)": "0.264 | 0.964",
    "PACE (its programs' results)": "0.248 | 0.968",
}
BASELINES = ("ridge on bits and their pairs", "MLP on 51 bits", "MLP on 15 skip bits", "look-up, else that MLP")
LEARNED, UNLABELLED, TESTED, SEEDS = 1000, 2000, 5000, 3
Vector = NDArray[np.float64]


def bits(architectures: list[Architecture], operators: bool) -> Vector:
    """Return skip bits, with one-hot operators or without, `[architectures, 15 or 51]`."""
    space = ENAS(6)
    genes = space.genotypes(architectures).astype(np.float64)
    sizes = [len(alternatives) for alternatives in space.choices.values()]
    skips = genes[:, [place for place, size in enumerate(sizes) if size == 2]]
    if not operators:
        return skips
    return np.concatenate(
        [skips, *(np.eye(6)[genes[:, place].astype(int)] for place, size in enumerate(sizes) if size == 6)], axis=1
    )


def enas(folder: Path, rows: Rows) -> None:
    """Measure what is tested on ENAS."""

    @cache
    def predictions() -> dict[str, Vector]:
        train, test = load("train"), load("test")
        wide, skips = (tuple(bits(table.architectures, kind) for table in (train, test)) for kind in (True, False))
        mean, deviation = train.accuracy.mean(), train.accuracy.std()
        target = (train.accuracy - mean) / deviation

        def mlp(given: tuple[Vector, Vector]) -> Vector:
            model = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=60, early_stopping=True, random_state=0)
            predicted: Vector = model.fit(given[0], target).predict(given[1]) * deviation + mean
            return predicted

        pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit(wide[0])
        ridge = Ridge(1.0).fit(pairs.transform(wide[0]), target).predict(pairs.transform(wide[1])) * deviation + mean
        known = dict(zip(map(bytes, skips[0]), train.accuracy, strict=True))
        few = mlp(skips)
        found = np.array([known.get(bytes(row), value) for row, value in zip(skips[1], few, strict=True)])
        return dict(zip(BASELINES, (ridge, mlp(wide), few, found), strict=True))

    def figures(predicted: Vector) -> dict[str, float]:
        truth, deviation = load("test").accuracy, load("train").accuracy.std()
        error = np.sqrt(np.mean((predicted - truth) ** 2)) / deviation
        return {"rmse": float(error), "pearson": metrics.pearson(truth, predicted)}

    def fitted(path: Path) -> dict[str, float]:
        model = NGAE(ENAS(6)).load(torch.load(path, weights_only=True))
        return figures(model.predict(load("test").architectures))

    for name in BASELINES:
        rows.get(lambda name=name: figures(predictions()[name]), bench="enas6", method=name)
    for path in sorted(folder.glob("ngae_enas6_*.pt")):
        rows.get(lambda path=path: fitted(path), bench="enas6", method=f"NGAE here, seed {path.stem.rpartition('_')[2]}")


def with_ngae(data: Data, learned: NDArray[np.int64], tested: NDArray[np.int64], others: NDArray[np.int64], seed: int) -> Vector:
    """Return the predictions of NGAE, which also reads architectures without accuracy."""
    rows = np.concatenate([learned, others])
    accuracy = np.full(len(rows), np.nan)
    accuracy[: len(learned)] = data.scores[learned]
    return NGAE(data.space, seed).fit(data.batch[rows], accuracy).predict(data.batch[tested])


def with_gates(data: Data, learned: NDArray[np.int64], tested: NDArray[np.int64], others: NDArray[np.int64], seed: int) -> Vector:
    """Return the predictions of GATES, which learns the order alone: no accuracies, hence no errors."""
    return Predictor(data.space, seed=seed).fit(data.batch[learned], data.scores[learned]).predict(data.batch[tested])


def nasbench(script: Script, rows: Rows) -> None:
    """Measure what is tested on NAS-Bench-201 and NAS-Bench-101."""
    held = cache(load_benchmark)

    def measure(bench: str, name: str, seed: int) -> dict[str, float]:
        data = held(bench)
        order = np.random.default_rng(seed).permutation(len(data.scores))
        parts = np.split(order[: LEARNED + TESTED + UNLABELLED], [LEARNED, LEARNED + TESTED])
        predicted, truth = METHODS[name](data, *parts, seed), data.scores[parts[1]]
        found = {"pearson": metrics.pearson(truth, predicted), "tau": metrics.kendall_tau(truth, predicted)}
        if name == "NGAE":
            found["rmse"] = float(np.sqrt(np.mean((predicted - truth) ** 2)) / data.scores[parts[0]].std())
        return found

    for bench in ("nasbench201", "nasbench101"):
        for name in METHODS:
            for seed in script.seeds:
                rows.get(
                    lambda bench=bench, name=name, seed=seed: measure(bench, name, seed), bench=bench, method=name, seed=seed
                )


def report(rows: Rows) -> None:
    """Print the tables, with the published figures above ours."""
    lines = [[name, *map(str.strip, figures.split("|"))] for name, figures in PUBLISHED.items()]
    lines += [[row["method"], f"{row['rmse']:.3f}", f"{row['pearson']:.3f}"] for row in rows.select(bench="enas6")]
    table(["ENAS, 1,902 test rows", "RMSE / sd", "r"], lines)
    means = []
    for bench in ("nasbench201", "nasbench101"):
        for name in METHODS:
            found = rows.select(bench=bench, method=name)
            if found:
                averages = [
                    f"{np.mean([row[figure] for row in found]):.3f}" if figure in found[0] else "(predicts ranks)"
                    for figure in ("rmse", "pearson", "tau")
                ]
                means.append([f"{bench}, {name}", len(found), *averages])
    table([f"{LEARNED:,} architectures learned, {TESTED:,} tested", "seeds", "RMSE / sd", "r", "tau"], means)


METHODS: dict[str, Callable[..., Vector]] = {"NGAE": with_ngae, "GATES": with_gates}


def main() -> None:
    script = Script(__file__, __doc__, seeds=SEEDS)
    script.argument("--models", type=Path, default=Path("runs"), help="where ngae/table1.py left its models")
    arguments = script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        enas(arguments.models, rows)
        nasbench(script, rows)

    script.run(run, report)


if __name__ == "__main__":
    main()
