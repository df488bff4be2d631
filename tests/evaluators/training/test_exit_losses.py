"""The loss of several exits: its formula, replicas, and what reaches which exit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.multilabel import Multilabel
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.training.exit_losses import ExitLosses
from archsearch.evaluators.training.recipe import Recipe

IMAGES, OUTPUTS, EXITS = 6, 4, 3
TASKS = {
    "classification": (Classification(), torch.randint(OUTPUTS, (IMAGES,), generator=torch.Generator().manual_seed(1))),
    "multilabel": (Multilabel(), torch.rand(IMAGES, OUTPUTS, generator=torch.Generator().manual_seed(2)).round()),
    "regression": (
        Regression((0.0,) * OUTPUTS, (1.0,) * OUTPUTS),
        torch.randn(IMAGES, OUTPUTS, generator=torch.Generator().manual_seed(3)),
    ),
}


def outputs(replicas: int = 1, seed: int = 0) -> list[Tensor]:
    drawn = torch.randn(EXITS, IMAGES, replicas * OUTPUTS, generator=torch.Generator().manual_seed(seed))
    return [each.clone().requires_grad_() for each in drawn]


def loss_of(exits: list[Tensor], truth: Tensor, task: PredictionTask, progress: float = 0.0, **recipe: float) -> Tensor:
    return ExitLosses(task, Recipe(**recipe), False)(exits, truth, None, progress)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TASKS)
def test_it_is_the_sum_of_the_exits(name: str) -> None:
    task, truth = TASKS[name]
    exits = outputs()
    alone = sum(task.loss(each, truth) for each in exits)
    torch.testing.assert_close(loss_of(exits, truth.unsqueeze(1), task), alone)


@pytest.mark.parametrize("name", TASKS)
def test_distillation_by_its_formula(name: str) -> None:
    task, truth = TASKS[name]
    exits = outputs()
    expected = task.loss(exits[-1], truth)
    for each in exits[:-1]:
        expected = expected + 0.7 * task.loss(each, truth) + 0.3 * task.distillation(each, exits[-1])
    torch.testing.assert_close(loss_of(exits, truth.unsqueeze(1), task, distillation=0.3), expected)


def test_distance_of_softened_classes_by_hand() -> None:
    first, last = torch.tensor([[0.3, -1.2, 2.0]]), torch.tensor([[1.0, 0.0, -1.0]])
    taught, own = (last / 3).softmax(1), (first / 3).softmax(1)
    expected = 9 * (taught * (taught / own).log()).sum()
    torch.testing.assert_close(Classification().distillation(first, last), expected)
    assert float(Classification().distillation(last, last)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_the_teacher_learns_nothing_from_its_students(name: str) -> None:
    task, truth = TASKS[name]
    gradients = []
    for share in (0.0, 0.9):
        exits = outputs()
        loss_of(exits, truth.unsqueeze(1), task, distillation=share).backward()
        gradients.append([each.grad for each in exits])
    without, taught = gradients
    torch.testing.assert_close(without[-1], taught[-1])
    assert not any(torch.allclose(*pair) for pair in zip(without[:-1], taught[:-1], strict=True))


@pytest.mark.parametrize(("progress", "reached"), [(0.0, False), (0.49, False), (0.5, True), (0.9, True)])
def test_the_last_exit_learns_first(progress: float, reached: bool) -> None:
    task, truth = TASKS["classification"]
    exits = outputs()
    loss_of(exits, truth.unsqueeze(1), task, progress, backbone_first=0.5, distillation=0.5).backward()
    *earlier, last = [each.grad for each in exits]
    assert all(each is not None and bool(each.abs().sum() > 0) == reached for each in earlier)
    assert last is not None and bool(last.abs().sum() > 0)


@pytest.mark.parametrize("recipe", [{}, {"distillation": 0.4}, {"backbone_first": 0.5}])
def test_replicas_add_up(recipe: dict[str, float]) -> None:
    task, labels = TASKS["classification"]
    exits, other = outputs(replicas=2), labels.flip(0)
    together = loss_of(exits, torch.stack([labels, other], 1), task, **recipe)
    parts = [
        loss_of([each.view(IMAGES, 2, OUTPUTS)[:, place] for each in exits], truth.unsqueeze(1), task, **recipe)
        for place, truth in enumerate((labels, other))
    ]
    torch.testing.assert_close(together, parts[0] + parts[1])


def test_a_network_with_one_exit_has_the_plain_loss() -> None:
    task, truth = TASKS["classification"]
    [single, *_] = outputs()
    both = {"distillation": 0.5, "backbone_first": 0.5}
    torch.testing.assert_close(loss_of([single], truth.unsqueeze(1), task, **both), task.loss(single, truth))


def test_an_auxiliary_classifier_counts_by_its_weight() -> None:
    task, truth = TASKS["classification"]
    exits = outputs()[:2]
    found = ExitLosses(task, Recipe(auxiliary=0.4, backbone_first=0.5), True)(exits, truth.unsqueeze(1), None, 0.0)
    torch.testing.assert_close(found, task.loss(exits[0], truth) + 0.4 * task.loss(exits[1], truth))
