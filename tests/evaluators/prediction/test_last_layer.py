"""The last layer in the user's units: of plans with one or several exits, and of modules of users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.prediction.last_layer import answer_in_units, last_layers
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.training.scoring import exits_of
from archsearch.spaces import ModuleSpace, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.nasbench201 import NASBench201

TASK = Regression((100.0, -3.0), (20.0, 0.5))
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def ends_in_linear(choose: Any, num_classes: int = 10) -> nn.Module:
    width = choose.one("width", [4, 8])
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, num_classes))


@pytest.mark.parametrize(
    ("space", "exits"),
    [(NASBench201(), 1), (Anytime(), 2), (ModuleSpace(ends_in_linear, torch.zeros(1, 1, 8, 8), name="linear"), 1)],
)
def test_answers_are_in_units(space: SearchSpace, exits: int) -> None:
    architecture = space.sample(np.random.default_rng(0))
    network = space.build(architecture, 2, 1).eval()
    with torch.inference_mode():
        before = exits_of(network(IMAGES))
    answer_in_units(network, TASK, (1, 8, 8))
    with torch.inference_mode():
        after = exits_of(network(IMAGES))
    assert len(after) >= exits
    for left, right in zip(before, after, strict=True):
        torch.testing.assert_close(right.double(), TASK.predictions(left), rtol=1e-5, atol=1e-4)


def test_a_module_that_ends_in_something_else_is_refused() -> None:
    def build(choose: Any, num_classes: int = 10) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes, bias=choose.one("bias", [True, False])), nn.Sigmoid())

    space = ModuleSpace(build, torch.zeros(1, 1, 8, 8), name="sigmoid")
    with pytest.raises(ConfigurationError, match="ends in a linear layer with a bias"):
        last_layers(space.build(space.sample(np.random.default_rng(0)), 2, 1), (1, 8, 8))
