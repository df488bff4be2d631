"""How well NGAE predicts accuracies, beside simple baselines and GATES.

    ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_table1.py && ARCHSEARCH_DATA=FOLDER python benchmarks/ngae_predict.py

The folder holds enas6.parquet, nasbench101.parquet and nasbench201.parquet. On ENAS the models are those of ngae_table1.py. The
accuracies of that table depend on its 15 skip bits alone, not on the operators, and 72 % of the test rows have bits that are in
the training rows too: what predicts best there is a look-up. On the other two tables each method learns from 1,000 random
architectures and is tested on 5,000 others; NGAE also reads 2,000 that have no accuracy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gates_kendall import Data
from gates_kendall import load as load_benchmark
from ngae_table1 import load
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import PolynomialFeatures

from archsearch.evaluators import NGAE, Predictor, metrics
from archsearch.spaces import Architecture
from archsearch.spaces.enas import ENAS

# RMSE in standard deviations of the training accuracies, and Pearson's r, on the test rows of ENAS.
PUBLISHED = {
    "NGAE (its programs' results)": "0.357 | about 0.93",
    "D-VAE and a sparse Gaussian process (as quoted)": "0.384 | 0.920",
    "DAGNN (as quoted)": "0.264 | 0.964",
    "PACE (its programs' results)": "0.248 | 0.968",
}
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


def enas(folder: Path) -> None:
    """Print the table of ENAS."""
    train, test = load("train"), load("test")
    wide, skips = (tuple(bits(table.architectures, kind) for table in (train, test)) for kind in (True, False))
    mean, deviation = train.accuracy.mean(), train.accuracy.std()
    target = (train.accuracy - mean) / deviation

    def mlp(given: tuple[Vector, Vector]) -> Vector:
        model = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=60, early_stopping=True, random_state=0).fit(
            given[0], target
        )
        predicted: Vector = model.predict(given[1]) * deviation + mean
        return predicted

    pairs = PolynomialFeatures(2, interaction_only=True, include_bias=False).fit(wide[0])
    ridge = Ridge(1.0).fit(pairs.transform(wide[0]), target).predict(pairs.transform(wide[1])) * deviation + mean
    known = dict(zip(map(bytes, skips[0]), train.accuracy, strict=True))
    few = mlp(skips)
    table = np.array([known.get(bytes(row), value) for row, value in zip(skips[1], few, strict=True)])
    print("\n| ENAS, 1,902 test rows | RMSE / sd | r |\n| --- | --- | --- |")
    for name, figures in PUBLISHED.items():
        print(f"| {name} | {figures} |")
    rows = {
        "ridge on bits and their pairs": ridge,
        "MLP on 51 bits": mlp(wide),
        "MLP on 15 skip bits": few,
        "look-up, else that MLP": table,
    }
    for path in sorted(folder.glob("ngae_enas6_*.pt")):
        model = NGAE(ENAS(6)).load(torch.load(path, weights_only=True))
        rows[f"NGAE here, seed {path.stem[-1]}"] = model.predict(test.architectures)
    for name, predicted in rows.items():
        error = np.sqrt(np.mean((predicted - test.accuracy) ** 2)) / deviation
        print(f"| {name} | {error:.3f} | {metrics.pearson(test.accuracy, predicted):.3f} |", flush=True)


def with_ngae(data: Data, learned: NDArray[np.int64], tested: NDArray[np.int64], others: NDArray[np.int64], seed: int) -> Vector:
    """Return the predictions of NGAE, which also reads architectures without accuracy."""
    rows = np.concatenate([learned, others])
    accuracy = np.full(len(rows), np.nan)
    accuracy[: len(learned)] = data.scores[learned]
    return NGAE(data.space, seed).fit(data.batch[rows], accuracy).predict(data.batch[tested])


def with_gates(data: Data, learned: NDArray[np.int64], tested: NDArray[np.int64], others: NDArray[np.int64], seed: int) -> Vector:
    """Return the predictions of GATES, which learns the order alone: no accuracies, hence no errors."""
    return Predictor(data.space, seed=seed).fit(data.batch[learned], data.scores[learned]).predict(data.batch[tested])


def benchmarks(seeds: int) -> None:
    """Print the table of NAS-Bench-101 and NAS-Bench-201."""
    print(f"\n| {LEARNED:,} of them learned, {TESTED:,} tested, {seeds} seeds | RMSE / sd | r | tau |\n| --- | --- | --- | --- |")
    methods: dict[str, Callable[..., Vector]] = {"NGAE": with_ngae, "GATES": with_gates}
    for bench in ("nasbench201", "nasbench101"):
        data = load_benchmark(bench)
        for name, method in methods.items():
            figures = []
            for seed in range(seeds):
                order = np.random.default_rng(seed).permutation(len(data.scores))
                parts = np.split(order[: LEARNED + TESTED + UNLABELLED], [LEARNED, LEARNED + TESTED])
                predicted, truth = method(data, *parts, seed), data.scores[parts[1]]
                error = np.sqrt(np.mean((predicted - truth) ** 2)) / data.scores[parts[0]].std() if name == "NGAE" else np.nan
                figures.append([error, metrics.pearson(truth, predicted), metrics.kendall_tau(truth, predicted)])
            print(f"| {bench}, {name} | " + " | ".join(f"{value:.3f}" for value in np.mean(figures, axis=0)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("runs"), help="where ngae_table1.py left its models")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    enas(arguments.models)
    benchmarks(arguments.seeds)


if __name__ == "__main__":
    main()
