"""What searches with shared or generated weights end with on NAS-Bench-201, and what their training steps cost.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.rivals.supernets --out benchmarks/results/rivals_supernets.jsonl
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.rivals.supernets --only darts1 --seeds 1 --first 100 --out runs/other.jsonl

The folder holds nasbench201.parquet and cifar10_train.parquet. All methods learn from the same 14,400 images of CIFAR-10,
averaged to 16x16, with networks of 4 channels and one cell a stage, for the same number of steps of 32 images. Then

* `darts1`, `darts2`: the cell of the largest operator weights, and nine others drawn from their softmax;
* `enas`: the paths of the controller that are best by the shared weights;
* `nao-ws`: the paths of the population that are best by the shared weights, after NAO has renewed it four times;
* `ghn`, `smash`, `one-shot`: of 50 random cells those with the lowest validation loss by generated or shared weights (the table
  of random search methods of the GHN paper, under one protocol);
* `random`: random cells.

The first cell of each is the one that the method ends with. "Best of ten" is the one of the first ten with the highest validation
accuracy in the benchmark's table, as if ten had been trained. Test accuracies are those of the table, after 200 epochs. The
learning rate of DARTS' operator weights makes steps that add up to those of the published search (3e-4 for 19,500 steps); nothing
was tuned on these seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import spearmanr
from torch.nn import functional as F

from archsearch.evaluators import GHN, OneShot, datasets
from archsearch.evaluators.datasets import ImageDataset, Splits
from archsearch.evaluators.ghn.scoring import training_loss
from archsearch.evaluators.supernet.controlled import ControlledSupernet
from archsearch.evaluators.supernet.differentiable import DifferentiableSupernet
from archsearch.evaluators.supernet.encoded import EncodedSupernet
from archsearch.evaluators.supernet.memory import step_memory
from archsearch.evaluators.supernet.shared_weights import SharedWeights, reads_of
from archsearch.evaluators.supernet.surrogate import proposals
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.plan import initial_parameters
from benchmarks import frame
from benchmarks.frame import Row, Rows, Script

SPACE = NASBench201()
SCALE = {"channels": 4, "cells_per_stage": 1}
BATCH, CANDIDATES, TRAINED = 32, 50, 10
METHODS = ("random", "one-shot", "enas", "nao-ws", "smash", "ghn", "darts1", "darts2")
# Test accuracy on CIFAR-10 (%), X. Dong, Y. Yang, ICLR 2020, arXiv 2001.00326.
PUBLISHED = {"darts1": "54.30", "darts2": "54.30", "enas": "54.30", "one-shot": "87.66 (RSPS)", "random": "93.70 (trained)"}
PUBLISHED_TRAVEL = 3e-4 * 19_500
"""Learning rate of the operators' weights times steps, H. Liu et al., ICLR 2019: 50 epochs of 25,000 images in batches of 64."""
SPEEDS = ("mixed step", "sampled step", "network alone")


@cache
def images() -> Splits:
    """Return the CIFAR-10 images of the folder, averaged to 16x16."""
    whole = datasets.load(f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}")

    def halved(part: ImageDataset) -> ImageDataset:
        pixels = F.avg_pool2d(part.images.float(), 2).round().to(torch.uint8)
        return ImageDataset(part.name, pixels, part.labels, part.classes)

    return Splits(train=halved(whole.train), validation=halved(whole.validation), test=halved(whole.test))


@cache
def table() -> Mapping[str, tuple[float, float, int]]:
    """Return validation and test accuracy (%) and rank by test accuracy of each cell, by its text."""
    rows = pq.read_table(frame.data("nasbench201.parquet") / "nasbench201.parquet")
    test = rows["cifar10_test"].to_numpy()
    ranks = np.empty(len(test), dtype=int)
    ranks[np.argsort(-test)] = np.arange(1, len(test) + 1)
    triples = zip(rows["cifar10_valid_run"].to_pylist(), test.tolist(), ranks.tolist(), strict=True)
    return dict(zip(rows["arch"].to_pylist(), triples, strict=True))


def drawn(seed: int, number: int) -> list[Architecture]:
    """Return different random cells."""
    rng, found = np.random.default_rng([seed, 201]), dict[str, Architecture]()
    while len(found) < number:
        architecture = SPACE.sample(rng)
        found.setdefault(SPACE.key(architecture), architecture)
    return list(found.values())


def searched(method: str, seed: int, steps: int, folder: Path) -> dict[str, Any]:
    """Run a search and return its cells, best first, with what its training showed."""
    shared: dict[str, Any] = {"scale": SCALE, "batch_size": BATCH}
    fit: dict[str, Any] = {"steps": steps, "checkpoint": folder / f"{method}-{seed}-{steps}.pt", "checkpoint_seconds": 20.0}
    if method == "random":
        return {"cells": list(map(str, drawn(seed, TRAINED)))}
    if method in ("darts1", "darts2"):
        rate = PUBLISHED_TRAVEL / (0.9 * steps)  # alpha rests for the first tenth of the steps
        how = {"order": int(method[-1]), "alpha_learning_rate": rate}
        darts = DifferentiableSupernet(SPACE, images(), seed, **how, **shared).fit(**fit)
        cells, _, _ = proposals(darts, TRAINED, seed)
        weights = np.array([row for _, row in darts.history]).reshape(len(darts.history), 6, 5)
        return {"cells": list(map(str, cells)), **shares([step for step, _ in darts.history], weights.mean(1))}
    if method == "enas":
        enas = ControlledSupernet(SPACE, images(), seed, **shared).fit(**fit)
        cells, _, details = proposals(enas, TRAINED, seed)
        course = details["path_controller"]
        genes = np.array([SPACE.genotype(each) for each in enas.draw(500, seed)])
        last = np.array([[np.mean(genes == operator) for operator in range(5)]])
        return {"cells": list(map(str, cells)), "reward": course["reward"], "entropy": course["entropy"], **shares([steps], last)}
    if method == "nao-ws":
        population = EncodedSupernet(SPACE, images(), seed, **shared).fit(**fit)
        cells, _, details = proposals(population, TRAINED, seed)
        genes = np.array([SPACE.genotype(each) for each in population.ranked()])
        last = np.array([[np.mean(genes == operator) for operator in range(5)]])
        return {"cells": list(map(str, cells)), "scores": details["scored_population"], **shares([steps], last)}
    candidates = drawn(seed, CANDIDATES)
    evaluator: Any
    if method == "one-shot":
        evaluator = OneShot(SPACE, images(), seed, **shared).fit(**fit)
    else:
        encoder = {"encoder": "flat"} if method == "smash" else {}
        evaluator = GHN(SPACE, images(), seed, **shared, **encoder).fit(**fit)
    losses = [each.metrics["valid_loss"] for each in evaluator.evaluate(candidates)]
    order = np.argsort(losses)[:TRAINED]
    test = [table()[str(each)][1] for each in candidates]
    rho = float(spearmanr(test, losses).statistic)
    return {"cells": [str(candidates[at]) for at in order], "spearman": -rho}


def shares(steps: Sequence[int], weights: Any) -> dict[str, Any]:
    """Return the mean weight of each operator over the edges, `[points, operators]`, as a course over the steps."""
    return {"steps_at": list(steps), "shares": np.round(weights, 4).tolist()}


def measured(method: str, seed: int, steps: int, folder: Path) -> dict[str, Any]:
    """Run a search; its CPU seconds count what it takes until the cells are known."""
    images(), table()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.process_time()
    found = searched(method, seed, steps, folder)
    seconds = time.process_time() - started
    rows = [table()[text] for text in found["cells"]]
    best = max(rows, key=lambda row: row[0])
    return {
        **found,
        "seconds": seconds,
        "test": rows[0][1],
        "rank": rows[0][2],
        "best_of_ten": best[1],
        "best_rank": best[2],
        "mean_of_ten": float(np.mean([row[1] for row in rows])),
        "skips": found["cells"][0].count("skip_connect") / 6,
    }


def step_cost(kind: str, batch: int) -> dict[str, float]:
    """Return CPU milliseconds of a training step, and MiB that it saves for its backward pass, measured and told beforehand."""
    evaluator = DifferentiableSupernet(SPACE, images(), 0, scale=SCALE, batch_size=batch)
    weights, mixed = SharedWeights(0, torch.device("cpu")), evaluator.mixed([0] * 6)
    keys = weights.grow(mixed.reads)
    generator = torch.Generator().manual_seed(0)
    part = evaluator.batch(evaluator.training_images(), generator)
    plans = [evaluator.path(each) for each in drawn(0, 10)]
    told = step_memory(SPACE, evaluator.images.input_shape, batch, 10, **SCALE)
    soft = evaluator.probabilities()
    steps: list[Callable[[], object]]
    losses: list[Callable[[], torch.Tensor]]
    if kind == "mixed step":
        losses = [lambda: evaluator._loss(mixed, {key: weights.values[key] for key in keys}, soft, part)]
        steps = [lambda: evaluator.train(weights, keys, losses[0], 0.01)]
    elif kind == "sampled step":
        losses = [partial(evaluator.path_loss, weights, plan, part) for plan in plans]
        steps = [partial(evaluator.train_path, weights, plan, part, 0.01) for plan in plans]
    else:
        losses, steps = [], []
        for plan in plans:
            initial = initial_parameters(plan, generator)
            own = {name: tuple(each.requires_grad_() for each in tensors) for name, tensors in initial.items()}
            parameters = [each for tensors in own.values() for each in tensors]
            optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)
            losses.append(partial(training_loss, plan, own, part))

            def step(loss: Callable[[], torch.Tensor] = losses[-1], optimizer: torch.optim.Optimizer = optimizer) -> None:
                optimizer.zero_grad()
                loss().backward()
                optimizer.step()

            steps.append(step)
    seconds = [frame.least_seconds(each, 5) for each in steps]
    for plan in plans:  # the gradients of weights that a path lacks must not count
        weights.grow(reads_of(plan).values())
    saved = [_saved_bytes(loss, [weights.values[key] for key in keys] if kind != "network alone" else []) for loss in losses]
    return {
        "milliseconds": 1000 * float(np.mean(seconds)),
        "saved_mib": float(np.mean(saved)) / 2**20,
        "told_mib": (told.mixed if kind == "mixed step" else told.path) / 2**20,
    }


def _saved_bytes(loss: Callable[[], torch.Tensor], weights: Sequence[torch.Tensor]) -> int:
    """Return the bytes of the different tensors that autograd saves in a forward pass."""
    found: dict[int, int] = {}
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    for each in weights:
        each.requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss()
    for each in weights:
        each.requires_grad_(False)
    return sum(found.values())


def report(rows: Rows, steps: int) -> None:
    """Print the tables."""
    lines: list[list[object]] = []
    for method in METHODS:
        found: list[Row] = rows.select(part="search", method=method, steps=steps)
        if not found:
            continue

        def of(name: str, digits: int = 2, found: list[Row] = found) -> str:
            return ", ".join(f"{row[name]:.{digits}f}" for row in found)

        cells = [len(found), of("test"), f"{np.mean([row['test'] for row in found]):.2f}", PUBLISHED.get(method), of("skips")]
        mean = f"{np.mean([row['best_of_ten'] for row in found]):.2f}"
        ten = f"{np.mean([row['mean_of_ten'] for row in found]):.2f}"
        lines.append([method, *cells, ten, mean, of("seconds", 0), of("spearman") if "spearman" in found[0] else None])
    columns = ["method", "seeds", "test of its cell (%)", "mean", "published", "skips of its cell", "mean of its ten"]
    frame.table([*columns, "best of its ten", "CPU s", "Spearman"], lines, title=f"{steps} steps")
    lines = []
    for method in ("darts1", "darts2", "enas", "nao-ws"):
        for row in rows.select(part="search", method=method, steps=steps):
            course, at = np.array(row["shares"]), row["steps_at"]
            for point in sorted({0, len(course) // 4, len(course) // 2, len(course) - 1}):
                lines.append([method, row["seed"], at[point], *(f"{share:.3f}" for share in course[point])])
    frame.table(["method", "seed", "step", *SPACE.operators], lines, title="Mean weight of each operator over the six edges")
    lines = []
    for row in rows.select(part="search", method="enas", steps=steps):
        for name in ("reward", "entropy"):
            course = np.array(row[name])
            lines.append([row["seed"], name, *(f"{part.mean():.3f}" for part in np.array_split(course, 4))])
    frame.table(["seed", "of the controller", "1st quarter", "2nd", "3rd", "4th"], lines, title="ENAS")
    lines = []
    for row in rows.select(part="search", method="nao-ws", steps=steps):
        for name in ("best", "mean", "kept", "improved", "random"):
            means = [None if each is None else f"{each:.3f}" for each in row["scores"][name]]
            lines.append([row["seed"], name, *means])
    frame.table(["seed", "scores of", *(f"round {number}" for number in range(1, 6))], lines, title="NAO-WS")
    alone = {row["batch"]: row for row in rows.select(part="speed", kind="network alone")}
    lines = []
    for row in rows.select(part="speed"):
        base = alone.get(row["batch"], row)
        times = [f"{row['milliseconds']:.1f}", f"{row['milliseconds'] / base['milliseconds']:.2f}"]
        sizes = [f"{row['saved_mib']:.2f}", f"{row['saved_mib'] / base['saved_mib']:.2f}", f"{row['told_mib']:.2f}"]
        lines.append([row["kind"], row["batch"], *times, *sizes])
    columns = ["", "batch", "CPU ms", "ratio", "MiB saved for backward", "ratio", "MiB told beforehand"]
    frame.table(columns, lines, title="A training step against one of a network alone (mean of ten random cells)")


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    script.argument("--steps", type=int, default=300, help="training steps of each method (default: 300)")
    script.argument("--no-speed", action="store_true", help="measure no speeds")
    arguments: argparse.Namespace = script.parse()
    torch.set_num_threads(1)

    def run(rows: Rows) -> None:
        folder = arguments.out.with_suffix("") if arguments.out.parts[0] == "runs" else Path("runs", "rivals_supernets")
        if not arguments.no_speed:
            for kind in SPEEDS:
                rows.get(partial(step_cost, kind, BATCH), part="speed", kind=kind, batch=BATCH)
        for seed in script.seeds:
            for method in arguments.only:
                work = partial(measured, method, seed, arguments.steps, folder)
                rows.get(work, part="search", method=method, seed=seed, steps=arguments.steps)

    script.run(run, lambda rows: report(rows, arguments.steps))


if __name__ == "__main__":
    main()
