"""Trainings that begin with a hypernetwork's weights against trainings that begin with random weights.

    python -m benchmarks.ghn.warm_start              # 8 architectures of 7 nodes on digits; some minutes on one core

Random architectures are trained twice with the same images in the same order: from the initial weights of their operators, and
from those that a hypernetwork generates for them. Accuracies are those on the validation images after some epochs of one
training, whose learning rate falls over all of them.
"""

from __future__ import annotations

import argparse
from functools import cache

import numpy as np
import torch

from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.training.initial_weights import begin_with
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import default_recipe
from archsearch.evaluators.training.scoring import score
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells
from benchmarks.frame import Rows, Script, average, table
from benchmarks.ghn.correlation import trained

STARTS = ("random weights", "generated weights")
EPOCHS = (1, 2, 5, 10)
SPACE = Cells(7, in_degree="one_or_two")
SCALE = {"blocks": 3, "channels": 8}


def drawn(count: int) -> list[Architecture]:
    """Return random architectures that no training of the hypernetwork draws."""
    rng = np.random.default_rng([20_190_506, 3])
    return [SPACE.sample(rng) for _ in range(count)]


def curve(architecture: Architecture, weights: dict[str, torch.Tensor], seed: int) -> list[float]:
    """Return the validation accuracy after each epoch."""
    splits = datasets.load("digits")
    mean, std = splits.train.statistics()
    images, validation, _ = (datasets.resident(part, mean, std, torch.device("cpu")) for part in splits)
    network = SPACE.build(architecture, 10, 1, torch.Generator().manual_seed(seed), **SCALE)
    begin_with(network, weights)
    accuracies: list[float] = []
    train(
        network,
        images.images,
        images.labels,
        default_recipe("digits").with_changes(epochs=EPOCHS[-1]),
        [torch.Generator().manual_seed(1000 + seed)],
        on_epoch=lambda epoch: accuracies.append(float(score(network, validation.images, validation.labels).accuracy)),
    )
    return accuracies


def compute(arguments: argparse.Namespace, rows: Rows) -> None:
    """Train what is not in the file yet."""

    @cache
    def ghn() -> GHN:
        model = GHN(SPACE, "digits", 0, scale=SCALE)
        trained("ghn 0", model, arguments.steps, arguments.out.with_suffix(""))
        return model

    def training(architecture: Architecture, start: str, seed: int) -> dict[str, list[float]]:
        weights = {} if start == STARTS[0] else ghn().generate(architecture)
        return {"valid": curve(architecture, weights, seed)}

    for seed, architecture in enumerate(drawn(arguments.architectures)):
        for start in STARTS:
            rows.get(
                lambda architecture=architecture, start=start, seed=seed: training(architecture, start, seed),
                seed=seed,
                start=start,
                steps=arguments.steps,
            )


def report(arguments: argparse.Namespace, rows: Rows) -> None:
    """Print the table; intervals are of the mean over architectures, each compared with itself."""
    curves = {start: {row["seed"]: row["valid"] for row in rows.select(start=start, steps=arguments.steps)} for start in STARTS}
    both = sorted(set(curves[STARTS[0]]) & set(curves[STARTS[1]]))
    lines = []
    for epoch in EPOCHS if both else ():
        cold, warm = (100 * np.array([curves[start][seed][epoch - 1] for seed in both]) for start in STARTS)
        lines.append([f"{epoch} epochs", f"{cold.mean():.2f}", f"{warm.mean():.2f}", average(warm - cold, signed=True)])
    columns = [f"{len(both)} architectures: after", "random weights %", "generated weights %", "difference, points"]
    table(columns, lines)


def main() -> None:
    script = Script(__file__, __doc__)
    script.argument("--architectures", type=int, default=8)
    script.argument("--steps", type=int, default=1500, help="of the hypernetwork (default: 1500)")
    arguments = script.parse()
    torch.set_num_threads(1)
    script.run(lambda rows: compute(arguments, rows), lambda rows: report(arguments, rows))


if __name__ == "__main__":
    main()
