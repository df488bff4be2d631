"""How well generated weights rank 100 cells of NAS-Bench-201: the native space, and the same cells as modules.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.spaces.module_ghn

The folder holds nasbench201.parquet, cifar10_train.parquet and cifar10_test.parquet. Cells, truth, network size and images are
those of ghn/presets.py, settings are the defaults, and both forms get the same number of steps. In the native space each
operator is a node of the graph that the hypernetwork reads; of a module it reads the traced layers, and it generates weights for
their parameters.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch

from archsearch.evaluators import GHN
from archsearch.evaluators.metrics import bootstrap_interval, kendall_tau
from archsearch.spaces import Architecture, ModuleSpace, SearchSpace
from benchmarks import frame
from benchmarks.frame import Rows, Script, average
from benchmarks.ghn.correlation import written
from benchmarks.ghn.presets import BENCH, IMAGES, small_images
from benchmarks.ghn.tables import SCALES, population
from benchmarks.spaces.module_nasbench201 import module201

FORMS = ("native", "module")


def cells_of(form: str) -> tuple[SearchSpace, list[Architecture], np.ndarray, dict[str, int]]:
    """Return the space, the cells, their true accuracies and the size of the networks."""
    native, cells, truth = population(BENCH, frame.data("nasbench201.parquet"))
    scale = SCALES[BENCH]
    if form == "native":
        return native, cells, truth, scale
    build = partial(module201, cells=scale["cells_per_stage"])
    space = ModuleSpace(build, torch.zeros(1, 3, 32, 32), "module201")
    return space, [space.from_genotype(native.genotype(cell)) for cell in cells], truth, {"channels": scale["channels"]}


def figures(form: str, seed: int, steps: int) -> dict[str, Any]:
    """Return accuracies and losses of the cells with generated weights, and the CPU seconds of the training."""
    space, cells, _, scale = cells_of(form)
    ghn = GHN(space, small_images(), seed, scale=scale, device="cpu", evaluation_images=IMAGES)
    started = time.process_time()
    ghn.fit(steps)
    seconds = time.process_time() - started
    found = ghn.evaluate(cells)
    accuracies, losses = [each.score for each in found], [each.metrics.get("valid_loss", np.inf) for each in found]
    return {"accuracy": accuracies, "loss": losses, "seconds": seconds}


def report(rows: Rows) -> None:
    """Print Kendall's tau of each training, and the means."""
    _, _, truth, _ = cells_of("native")
    rng, lines = np.random.default_rng(0), list[list[object]]()
    for form in FORMS:
        taus = []
        for row in rows.select(form=form):
            loss, accuracy = (
                bootstrap_interval(kendall_tau, truth, sign * np.array(row[name]), rng)
                for name, sign in (("loss", -1), ("accuracy", 1))
            )
            taus.append(loss.value)
            lines.append([form, row["seed"], row["steps"], written(loss), written(accuracy), f"{row['seconds']:.0f}"])
        if taus:
            lines.append([form, "mean", None, average(taus, 3, deviation=True), None, None])
    frame.table(["space", "seed", "steps", "tau by loss", "tau by accuracy", "CPU s"], lines)


def main() -> None:
    script = Script(__file__, __doc__, seeds=3)
    script.argument("--steps", type=int, default=400)
    arguments = script.parse()
    torch.set_num_threads(1)

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            for form in FORMS:
                identity = {"form": form, "seed": seed, "steps": arguments.steps}
                rows.get(lambda identity=identity: figures(**identity), **identity)

    script.run(measure, report)


if __name__ == "__main__":
    main()
