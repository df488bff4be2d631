"""The presets `default` and `paper` of the hypernetwork: how well each ranks 100 cells of NAS-Bench-201, at one budget.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.presets

The folder holds nasbench201.parquet, cifar10_train.parquet and cifar10_test.parquet. Cells, truth and network sizes are those of
`benchmarks.ghn.tables`; images are averaged to 16 x 16, so that a training takes about a minute on one core, and 500 of them
score a cell. Both presets take the same number of steps, which is a small share of the paper's 200 epochs; the table tells it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import GHN, datasets
from archsearch.evaluators.datasets import Splits
from benchmarks import frame
from benchmarks.frame import Rows, Script
from benchmarks.ghn.correlation import CORRELATIONS, correlations
from benchmarks.ghn.tables import SCALES, population

BENCH, IMAGES, EPOCHS = "nasbench201", 500, 200


@cache
def small_images() -> Splits:
    """Return the images of the folder, each pixel the mean of four."""
    splits = datasets.load(f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}")
    parts = []
    for part in splits:
        pixels = torch.nn.functional.avg_pool2d(torch.as_tensor(part.images).float(), 2).round().to(torch.uint8)
        parts.append(replace(part, images=pixels))
    return Splits(*parts)


def figures(preset: str, seed: int, steps: int) -> dict[str, Any]:
    """Return accuracies and losses of the cells with generated weights, and the share of the paper's epochs."""
    space, cells, _ = population(BENCH, frame.data("nasbench201.parquet"))
    ghn = GHN(space, small_images(), seed, preset=preset, scale=SCALES[BENCH], device="cpu", evaluation_images=IMAGES)
    ghn.fit(steps)
    found = ghn.evaluate(cells)
    return {
        "accuracy": [each.score for each in found],
        "loss": [each.metrics.get("valid_loss", np.inf) for each in found],
        "share": steps / ghn.steps_for(EPOCHS),
    }


def report(rows: Rows) -> None:
    """Print the table."""
    space, cells, truth = population(BENCH, frame.data("nasbench201.parquet"))
    lines: list[list[object]] = []
    for row in rows.all():
        name = f"{row['preset']} {row['seed']}, {row['steps']:,} steps ({row['share']:.3g} of {EPOCHS} epochs)"
        lines.append([f"{name}, by accuracy", None, None, *correlations(truth, np.array(row["accuracy"])), ".68, .48"])
        lines.append([f"{name}, by loss", None, None, *correlations(truth, -np.array(row["loss"])), None])
    params = [float(space.cost(cell, **SCALES[BENCH]).params) for cell in cells]
    frame.table(CORRELATIONS, [*lines, ["number of parameters", 0, 0, *correlations(truth, np.array(params)), None]], title=BENCH)


def main() -> None:
    script = Script(__file__, __doc__, seeds=2)
    script.argument("--steps", type=int, default=800)
    script.argument("--presets", nargs="+", default=["default", "paper"])
    arguments = script.parse()
    torch.set_num_threads(1)

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            for preset in arguments.presets:
                identity = {"preset": preset, "seed": seed, "steps": arguments.steps}
                rows.get(lambda identity=identity: figures(**identity), **identity)

    script.run(measure, report)


if __name__ == "__main__":
    main()
