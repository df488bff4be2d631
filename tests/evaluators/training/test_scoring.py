"""Accuracy and loss of replicas and exits against one image at a time."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archsearch.evaluators.training.replicas import stacked_network
from archsearch.evaluators.training.scoring import exit_scores, exits_of, score
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
CLASSES = 4


def make_images(number: int) -> tuple[Tensor, Tensor]:
    return torch.randn((number, 2, 8, 8), generator=torch.Generator().manual_seed(0)), torch.arange(number) % CLASSES


def stacked(seeds: list[int]) -> Network:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return stacked_network(SPACE, CELL, CLASSES, 2, generators, {"channels": 4, "cells_per_stage": 1})


class TwoExits(nn.Module):
    """Answers with its input, and with the opposite."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images.flatten(1), -images.flatten(1)]


def test_scores_equal_those_of_each_image_and_replica() -> None:
    images, labels = make_images(23)
    model = stacked([0, 1])
    before = copy.deepcopy(model.state_dict())
    found = score(model, images, labels, replicas=2, batch_size=10)
    model.eval().requires_grad_(False)
    for place in range(2):
        logits = torch.stack([model(image.repeat(2, 1, 1)[None])[0, CLASSES * place : CLASSES * (place + 1)] for image in images])
        assert float(found.accuracy[place]) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
        assert float(found.loss[place]) == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-4)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items()), "scoring changes nothing"


def test_each_exit_has_its_score() -> None:
    images = torch.eye(CLASSES)[:, :, None, None]
    first, second = exit_scores(TwoExits(), images, torch.arange(CLASSES), batch_size=3)
    assert (float(first.accuracy[0]), float(second.accuracy[0])) == (1.0, 0.0)
    expected = F.cross_entropy(torch.eye(CLASSES), torch.arange(CLASSES))
    assert float(first.loss[0]) == pytest.approx(float(expected))
    assert torch.equal(score(TwoExits(), images, torch.arange(CLASSES)).loss, second.loss), "the last exit is the network's"


def test_one_exit_is_a_list_of_one() -> None:
    logits = torch.zeros(1, 2)
    assert exits_of(logits)[0] is logits
    assert exits_of([logits, logits]) == [logits, logits]


def test_balanced_accuracy_is_the_mean_over_the_classes_that_have_images() -> None:
    """Twelve images of class 0, of which 9 are right, and 2 of class 2, of which 1 is; class 1 has none."""

    class Fixed(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float()

    answers, labels = torch.tensor([0] * 9 + [1, 2, 2] + [2, 0]), torch.tensor([0] * 12 + [2] * 2)
    found = score(Fixed(), answers.float()[:, None, None, None], labels, batch_size=5)
    assert float(found.balanced_accuracy) == pytest.approx((9 / 12 + 1 / 2) / 2)
    assert float(found.accuracy) == pytest.approx(10 / 14)
