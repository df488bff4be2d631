"""Training of a fixed network outside any search space, with the recipe of the candidates that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.devices import cpu_threads, device_named
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.scoring import exit_scores
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.network import Network
from archsearch.spaces.plan import Plan


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network and the anytime curves of its exits.

    Args:
        network: The network, on the device, in evaluation mode.
        validation: Accuracy on the validation images against MACs, one point an exit.
        test: Accuracy on the test images against MACs.
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
        splits: Images, as from `datasets.load`.
        recipe: Settings of the training.
        seed: Seed of initial weights and batches.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads.

    Raises:
        ConfigurationError: The device is unknown.
        TrainingDiverged: The loss became infinite or NaN.
    """
    weights, order = (torch.Generator().manual_seed(number) for number in (2 * seed, 2 * seed + 1))
    place, task = device_named(device), ImageTask(splits)
    images, validation, test = task.part("train", place), task.part("validation", place), task.part("test", place)
    network = Network(plan, weights).to(place)
    macs = [cost.macs for cost in exit_costs(plan, task.input_shape)]
    with cpu_threads(threads):
        train(network, images.images, images.labels, recipe, [order], mixed_precision=place.type == "cuda")
        scores = [exit_scores(network, part.images, part.labels) for part in (validation, test)]
    chance = 1.0 / task.num_classes
    curves = [AnytimeCurve.of_exits(macs, [float(each.accuracy) for each in part], chance) for part in scores]
    return TrainedNetwork(network, validation=curves[0], test=curves[1])
