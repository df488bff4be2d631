"""What the training of a candidate depends on: networks and random numbers by candidate, seed and use."""

from __future__ import annotations

from typing import Any

import torch

from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.task import TrainingTask
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL, OTHER = SPACE.from_genotype([3, 0, 1, 0, 0, 1]), SPACE.from_genotype([2, 0, 1, 0, 0, 1])


def task(**changes: Any) -> TrainingTask:
    settings: dict[str, Any] = {
        "objective": ScoreObjective(),
        "scale": {"channels": 2, "cells_per_stage": 1},
        "seed": 0,
        "repeats": 1,
        "report_test": False,
        "latency": False,
        "device": "cpu",
        "threads": 1,
    }
    return TrainingTask(SPACE, ImageTask("digits"), Recipe(), **{**settings, **changes})


def drawn(generators: list[torch.Generator]) -> list[int]:
    return [int(torch.randint(2**40, (), generator=generator)) for generator in generators]


def test_random_numbers_are_those_of_candidate_seed_use_and_replica() -> None:
    first = drawn(task().generators(CELL, "weights"))
    assert drawn(task().generators(CELL, "weights")) == first
    others = [
        drawn(task().generators(CELL, "batches")),
        drawn(task().generators(OTHER, "weights")),
        drawn(task(seed=1).generators(CELL, "weights")),
    ]
    assert len({tuple(each) for each in (first, *others)}) == 4
    three = drawn(task(repeats=3).generators(CELL, "weights"))
    assert three[:1] == first
    assert len(set(three)) == 3


def test_single_network_is_one_replica() -> None:
    stack, single = task(repeats=3).network(CELL), task(repeats=3).single_network(CELL)
    sizes = [sum(each.numel() for each in network.parameters()) for network in (stack, single)]
    assert sizes[0] == 3 * sizes[1]


def test_end_of_the_area_and_macs_of_the_exits() -> None:
    anytime = task(objective=ScoreObjective("anytime", 5e4))
    assert anytime.max_budget == 5e4
    [macs] = anytime.exit_macs(CELL)
    assert macs == SPACE.cost(CELL, **anytime.cost_arguments).macs
