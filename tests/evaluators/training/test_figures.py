"""Figures of a candidate: names by part and objective, means over replicas, costs by epochs."""

from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.figures import CandidateFigures, curve_names
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.scoring import Score
from archsearch.evaluators.training.task import TrainingTask
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])
SCORE = Score(
    {
        "accuracy": torch.tensor([0.25, 0.75]),
        "loss": torch.tensor([1.0, 2.0]),
        "balanced_accuracy": torch.tensor([0.0, 0.5]),
    }
)


def task(objective: str = "accuracy") -> TrainingTask:
    images, scale = ImageTask("digits"), {"channels": 2, "cells_per_stage": 1}
    return TrainingTask(SPACE, images, Recipe(), ScoreObjective(objective), scale, 0, 2, True, False, "cpu", 1)


def test_names_say_the_part_of_the_images() -> None:
    figures = CandidateFigures(task(), CELL)
    assert figures.validation([SCORE]) == ({"valid_accuracy": 0.5, "valid_loss": 1.5}, {})
    assert figures.test([SCORE]) == ({"test_accuracy": 0.5, "test_loss": 1.5}, {})


def test_balanced_accuracy_stands_beside_accuracy_and_has_a_curve() -> None:
    metrics, _ = CandidateFigures(task("balanced_accuracy"), CELL).test([SCORE])
    assert metrics["test_balanced_accuracy"] == 0.25
    assert curve_names(task("balanced_accuracy")) == ("valid_accuracy", "valid_balanced_accuracy")
    assert curve_names(task()) == ("valid_accuracy",)


def test_area_of_one_exit_and_exits_as_curves() -> None:
    anytime = task("anytime")
    figures = CandidateFigures(anytime, CELL)
    metrics, curves = figures.validation([SCORE])
    macs = anytime.exit_macs(CELL)
    assert metrics["anytime_auc"] == pytest.approx(AnytimeCurve.of_exits(macs, [0.5], 0.1).auc(anytime.max_budget))
    assert curves == {"exit_accuracy": (0.5,), "exit_macs": macs}
    assert set(figures.test([SCORE])[1]) == {"test_exit_accuracy", "exit_macs"}
    two, both = CandidateFigures(task(), CELL).validation([SCORE, SCORE])
    assert both["exit_accuracy"] == (0.5, 0.5)
    assert "anytime_auc" not in two


def test_costs_grow_with_the_epochs() -> None:
    given = task()
    cost = SPACE.cost(CELL, **given.cost_arguments)
    images = len(given.images.splits.train)
    assert CandidateFigures(given, CELL).costs(5) == {
        "params": cost.params,
        "macs": cost.macs,
        "macs_paid": 3 * 5 * images * 2 * cost.macs,
        "epochs": 5.0,
    }
