"""Does a training that begins with a hypernetwork's weights learn faster than one from random weights?

    python benchmarks/ghn_warm_start.py              # 8 architectures of 7 nodes on digits; some minutes on one core
    python benchmarks/ghn_warm_start.py --print      # the table of what is there so far

Random architectures are trained twice with the same images in the same order: from the initial weights of their operators, and
from those that a hypernetwork generates for them. Accuracies are those on the validation images after some epochs of one
training, whose learning rate falls over all of them. Each training is a line of a file and is not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ghn_correlation import trained
from rows import read, write

from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.metrics import mean_interval
from archsearch.evaluators.training.initial_weights import begin_with
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import default_recipe
from archsearch.evaluators.training.scoring import score
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells

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


def compute(arguments: argparse.Namespace) -> None:
    """Train what is not in the file yet."""
    ghn = GHN(SPACE, "digits", 0, scale=SCALE)
    trained("ghn 0", ghn, arguments.steps, arguments.results.with_suffix(""))
    known = {(row["seed"], row["start"]) for row in read(arguments.results)}
    for seed, architecture in enumerate(drawn(arguments.architectures)):
        for start, weights in zip(STARTS, ({}, ghn.generate(architecture)), strict=True):
            if (seed, start) not in known:
                row = {"seed": seed, "start": start, "steps": arguments.steps, "valid": curve(architecture, weights, seed)}
                write(arguments.results, row)
        print(f"architecture {seed}: done", flush=True)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table as Markdown; intervals are of the mean over architectures, each compared with itself."""
    curves = {start: {row["seed"]: row["valid"] for row in rows if row["start"] == start} for start in STARTS}
    both = sorted(set(curves[STARTS[0]]) & set(curves[STARTS[1]]))
    print(f"\n| {len(both)} architectures: after | random weights % | generated weights % | difference, points, 95 % interval |")
    print("| --- | --- | --- | --- |")
    for epoch in EPOCHS if len(both) > 1 else ():
        cold, warm = (100 * np.array([curves[start][seed][epoch - 1] for seed in both]) for start in STARTS)
        gap = mean_interval(warm - cold)
        print(
            f"| {epoch} epochs | {cold.mean():.2f} | {warm.mean():.2f} | {gap.value:+.2f} ({gap.low:+.2f} to {gap.high:+.2f}) |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1500, help="of the hypernetwork (default: 1500)")
    parser.add_argument("--results", type=Path, default=Path("runs/ghn_warm_start.jsonl"), help="where the figures are kept")
    parser.add_argument("--print", action="store_true", help="only print the table of what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.print:
        compute(arguments)
    report(read(arguments.results))


if __name__ == "__main__":
    main()
