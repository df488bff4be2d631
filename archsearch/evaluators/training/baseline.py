"""Training of a network that no space holds, with the recipe of the candidates that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archsearch.evaluators import datasets
from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import cpu_threads, device_named
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.scoring import exit_scores
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.plan import Plan


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network and what its exits reach.

    Args:
        network: On the device, in evaluation mode.
        validation: Accuracy on the validation images against MACs, an exit a point.
        test: Likewise on the test images.
    """

    network: Network
    validation: AnytimeCurve
    test: AnytimeCurve


def trained(
    plan: Plan, splits: Splits, recipe: Recipe, seed: int = 0, *, device: str = "auto", threads: int = 1
) -> TrainedNetwork:
    """Train a plan on the sum of the losses of its exits, and measure each exit.

    Args:
        plan: A network with one or several exits, such as `msdnet_plan(10, 3)`.
        splits: Images, of `datasets.load`.
        recipe: How to train.
        seed: Of weights and batches.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads.

    Raises:
        ConfigurationError: There is no such device.
        TrainingDiverged: The loss became infinite or NaN.
    """
    weights, order = (torch.Generator().manual_seed(number) for number in (2 * seed, 2 * seed + 1))
    place, chance = device_named(device), 1.0 / splits.train.num_classes
    mean, std = splits.train.statistics()
    images, *others = (datasets.resident(part, mean, std, place) for part in splits)
    network = Network(plan, weights).to(place)
    macs = [cost.macs for cost in exit_costs(plan, splits.train.shape)]
    with cpu_threads(threads):
        train(network, images.images, images.labels, recipe, [order], mixed_precision=place.type == "cuda")
        scores = [exit_scores(network, part.images, part.labels) for part in others]
    validation, test = (AnytimeCurve.of_exits(macs, [float(each.accuracy) for each in part], chance) for part in scores)
    return TrainedNetwork(network, validation, test)
