"""Three ways to keep generated kernels from being copies of each other, against the hypernetwork as it is.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.ghn.kernels                  # ten minutes on one core, in pieces

The folder holds nasbench201.parquet and cifar10_train.parquet. Kernels of one shape within a cell are nearly equal, because the
states of the nodes are. The ways, none of which is in the package:

- `rescaled`: each generated kernel is divided by its own standard deviation, and multiplied by He's, sqrt(2 / fan-in).
- `jumping`: the first state of a node, which says what it is, is added to its last one before the kernels are made.
- `spread`: the first layer of H begins so that over the nodes of random networks each hidden unit has mean 0 and variance 1: the
  variation between nodes begins as large as what they have in common.

NAS-Bench-201 cells with CIFAR-10 images averaged to 16 x 16; 400 images score a cell. Settings belong to the first 100 cells, the
figures to the others: cosine of pairs of 3 x 3 kernels within a cell, effective rank of a kernel (exponential of the entropy of
its singular values, over their number), Kendall's tau by loss on all cells and on the better half. For the warm start another
hypernetwork learns digits, and some cells are trained for 5 epochs from its weights and from random ones (`--kinds warm`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archsearch.evaluators import GHN
from archsearch.evaluators.ghn.candidates import tensors_for
from archsearch.evaluators.ghn.graph_tensors import GraphTensors, Request
from archsearch.evaluators.ghn.hypernetwork import Hypernetwork
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.operator_kind import WEIGHT
from archsearch.evaluators.ghn.training import drawn_architectures
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.training.evaluator import TrainingEvaluator
from archsearch.evaluators.training.initial_weights import begin_with
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.scoring import score
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201
from benchmarks import frame
from benchmarks.frame import Rows, Script, average, table
from benchmarks.ghn.tables import SCALES, population

CELLS, CHOOSING, CELL_SEED, WARM = 300, 100, 20_261_201, 6
BENCH = "nasbench201"
DIGITS = {"channels": 8, "cells_per_stage": 1}
VARIANTS = ("as it is", "rescaled", "jumping", "spread")


class Rescaled(Hypernetwork):
    """Kernels with He's standard deviation."""

    def _made(self, request: Request, hidden: Tensor) -> Tensor:
        made = super()._made(request, hidden)
        if self.branches[request.branch].role != WEIGHT:
            return made
        flat = made.flatten(1)
        scale = math.sqrt(2.0 / math.prod(request.shape[1:])) / (flat.std(1, keepdim=True) + 1e-8)
        return (flat * scale).view(made.shape)


class Jumping(GraphHyperNetwork):
    """The first state of a node is added to its last one."""

    def states(self, tensors: GraphTensors) -> Tensor:
        firsts = []
        for module in tensors.modules:
            first = nn.functional.embedding(module.kinds, self.kinds)
            if self.positions is not None:
                for rows, places in zip(self.positions, module.positions, strict=True):
                    first = first + nn.functional.embedding(places, rows)
            firsts.append(first.flatten(0, 1))
        return super().states(tensors) + torch.cat(firsts)


@torch.no_grad()
def spread(ghn: GHN, model: GraphHyperNetwork) -> None:
    """Scale and shift the hidden units of H so that their mean over nodes is 0 and their variance 1."""
    drawn = drawn_architectures(ghn.training_space, 32, ghn.seed, 10**9)
    tensors = tensors_for(model, [ghn._layout(ghn.training_space, each) for each in drawn])
    states = model.states(tensors)
    states = nn.functional.layer_norm(states, states.shape[-1:])
    rows = torch.cat([request.rows for request in tensors.requests])
    layer = model.hypernetwork
    hidden = nn.functional.linear(states, layer.first_weight, layer.first_bias)[rows]
    deviation = hidden.std(0) + 1e-6
    layer.first_bias.copy_((layer.first_bias - hidden.mean(0)) / deviation)
    layer.first_weight.div_(deviation[:, None])


def learned(variant: str, seed: int, steps: int, **arguments: Any) -> GHN:
    """Return a trained hypernetwork of a variant."""
    ghn = GHN(NASBench201(), seed=seed, device="cpu", **arguments)
    ghn._learned = ghn._fresh()
    model = ghn._learned.model
    if variant == "rescaled":
        model.hypernetwork.__class__ = Rescaled
    elif variant == "jumping":
        model.__class__ = Jumping
    elif variant == "spread":
        spread(ghn, model)
    return ghn.fit(steps)


def likeness(weights: Mapping[str, Tensor]) -> tuple[list[float], list[float]]:
    """Return cosines of pairs of 3 x 3 kernels within a cell, and effective ranks."""
    found = {name: value for name, value in weights.items() if value.dim() == 4 and value.shape[-1] == 3 and "_edge" in name}
    kernels = {name: value for name, value in found.items() if bool(value.any())}  # those on no path to the output are zero
    cosines, ranks = list[float](), list[float]()
    for (one, first), (other, second) in itertools.combinations(kernels.items(), 2):
        if one.partition("_edge")[0] == other.partition("_edge")[0]:
            cosines.append(float(nn.functional.cosine_similarity(first.flatten(), second.flatten(), dim=0)))
    for kernel in kernels.values():
        values = torch.linalg.svdvals(kernel.flatten(1))
        shares = values / values.sum()
        ranks.append(float((-(shares * shares.clamp_min(1e-12).log()).sum()).exp() / len(values)))
    return cosines, ranks


def figures_of(ghn: GHN, cells: Sequence[Architecture]) -> dict[str, float]:
    """Return the mean cosine and effective rank of the kernels of some cells."""
    alike = [likeness(ghn.generate(cell)) for cell in cells]
    cosines, ranks = ([value for pair in alike for value in pair[at]] for at in (0, 1))
    return {"cosine": float(np.mean(cosines)), "rank": float(np.mean(ranks))}


def ranking(variant: str, seed: int, steps: int) -> dict[str, Any]:
    """Return losses of the cells, and how alike kernels are."""
    _, cells, _ = population(BENCH, frame.data(f"{BENCH}.parquet"), CELLS, CELL_SEED)
    images = f"parquet:{frame.data('cifar10_train.parquet') / 'cifar10_train.parquet'}"
    ghn = learned(variant, seed, steps, dataset=images, scale=SCALES[BENCH], image_size=16, evaluation_images=400)
    found = ghn.evaluate(cells)
    return {
        **figures_of(ghn, cells[CHOOSING : CHOOSING + 60]),
        "loss": [each.metrics["valid_loss"] for each in found],
        "centred": [each.metrics["centred_loss"] for each in found],
    }


def warm(variant: str, seed: int, steps: int) -> dict[str, Any]:
    """Return validation accuracies of cells trained from random and from generated weights."""
    ghn = learned(variant, seed, steps, dataset="digits", scale=DIGITS)
    space, rng = ghn.space, np.random.default_rng([CELL_SEED, seed])
    cells = [space.sample(rng) for _ in range(40)]
    alike, cells = figures_of(ghn, cells), cells[:WARM]
    parts = ghn.images.resident(torch.device("cpu"))
    recipe = TrainingEvaluator(space, "digits", epochs=5, scale=DIGITS).recipe
    found: dict[str, list[float]] = {"random": [], "generated": []}
    for number, cell in enumerate(cells):
        for start, values in found.items():
            network = space.build(cell, 10, 1, torch.Generator().manual_seed(number), **DIGITS)
            begin_with(network, {} if start == "random" else ghn.generate(cell))
            train(network, parts[0].images, parts[0].labels, recipe, [torch.Generator().manual_seed(1000 + number)])
            values.append(float(score(network, parts[1].images, parts[1].labels).accuracy))
    return {**found, **alike}


def report(rows: Rows) -> None:
    """Print a table of the rankings and one of the warm starts."""
    lines = []
    for variant in VARIANTS:
        if found := rows.select(kind="warm", variant=variant):
            gaps = np.concatenate([100 * np.subtract(row["generated"], row["random"]) for row in found])
            start = [f"{100 * np.mean([row[name] for row in found]):.1f}" for name in ("random", "generated")]
            alike = [average([row[name] for row in found]) for name in ("cosine", "rank")]
            lines.append([variant, len(found), *alike, *start, average(gaps, signed=True)])
    starts = ["random start %", "generated start %", "difference, points"]
    table(["variant", "trainings", "cosine", "effective rank", *starts], lines, "digits")
    if not rows.select(kind="ranking"):
        return
    truth = population(BENCH, frame.data(f"{BENCH}.parquet"), CELLS, CELL_SEED)[2]
    reported, choosing = truth[CHOOSING:], truth[:CHOOSING]
    better, lines = reported >= np.median(reported), []
    for variant in VARIANTS:
        if found := rows.select(kind="ranking", variant=variant):
            losses = [-np.array(row["loss"]) for row in found]
            taus = [
                average([kendall_tau(choosing, loss[:CHOOSING]) for loss in losses], 3),
                average([kendall_tau(reported, loss[CHOOSING:]) for loss in losses], 3),
                average([kendall_tau(reported[better], loss[CHOOSING:][better]) for loss in losses], 3),
            ]
            lines.append([variant, len(found), *(average([row[name] for row in found]) for name in ("cosine", "rank")), *taus])
    columns = ["variant", "trainings", "cosine", "effective rank", "tau, cells to choose by", "tau, all", "tau, better half"]
    table(columns, lines, BENCH)


def main() -> None:
    script = Script(__file__, __doc__, seeds=2)
    script.argument("--steps", type=int, default=1000)
    script.argument("--kinds", nargs="+", default=["warm", "ranking"], choices=["warm", "ranking"])
    script.argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    arguments = script.parse()
    torch.set_num_threads(1)

    def measure(rows: Rows) -> None:
        for seed in script.seeds:
            for kind in arguments.kinds:
                work = ranking if kind == "ranking" else warm
                for variant in arguments.variants:
                    identity = {"variant": variant, "seed": seed, "steps": arguments.steps if kind == "ranking" else 500}
                    rows.get(partial(work, **identity), kind=kind, **identity)

    script.run(measure, report)


if __name__ == "__main__":
    main()
