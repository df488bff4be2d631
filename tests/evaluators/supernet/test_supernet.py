"""What all supernets share."""

from __future__ import annotations

import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ghn.step_loop import Progress
from archsearch.evaluators.supernet.one_shot import OneShot
from archsearch.evaluators.supernet.shared_weights import SharedWeights, reads_of
from archsearch.evaluators.supernet.supernet import Supernet
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 2, "cells_per_stage": 1}


class OnePath(Supernet):
    def _step(self, weights: SharedWeights, number: int, steps: int) -> float:
        path = self.path(SPACE.from_genotype([1, 3, 1, 2, 1, 1]))
        batch = self.batch(self.training_images(), self.generator(number))
        return self.train_path(weights, path, batch, self.learning_rate(number, steps))


def _silent(progress: Progress) -> None:
    pass


def test_only_the_weights_of_the_path_are_trained() -> None:
    supernet = OnePath(SPACE, "digits", scale=TINY, batch_size=8).fit(2, report=_silent)
    assert supernet.weights is not None
    other = SPACE.from_genotype([3, 3, 1, 2, 1, 1])
    held = dict(supernet.weights.values)
    new = supernet.weights.grow(reads_of(supernet.path(other)).values())
    assert {name for name, _ in set(new) - held.keys()} == {f"stage{stage}_cell0_edge01" for stage in range(3)}


def test_a_gradient_that_is_not_finite_is_left_out() -> None:
    supernet, weights = OnePath(SPACE, "digits", scale=TINY), SharedWeights(0, torch.device("cpu"))
    weights.values["a", "b"] = torch.ones(2)
    weights.momenta["a", "b"] = torch.zeros(2)
    lost = supernet.train(weights, [("a", "b")], lambda: weights.values["a", "b"].sum() * float("inf"), 0.1)
    assert lost != lost and weights.values["a", "b"].tolist() == [1.0, 1.0]
    assert supernet.train(weights, [("a", "b")], lambda: weights.values["a", "b"].sum(), 0.1) == 2.0
    assert weights.values["a", "b"][0] < 1.0


def test_halves_share_no_image() -> None:
    one, other = OneShot(SPACE, "digits", scale=TINY).halves()
    assert abs(len(one) - len(other)) <= 1
    assert len(one) + len(other) == len(OneShot(SPACE, "digits", scale=TINY).training_images())


def test_states_of_another_recipe_are_refused() -> None:
    state = OneShot(SPACE, "digits", scale=TINY, batch_size=8).fit(1, report=_silent).state()
    with pytest.raises(ConfigurationError, match="batch_size"):
        OneShot(SPACE, "digits", scale=TINY, batch_size=16).load(state)
