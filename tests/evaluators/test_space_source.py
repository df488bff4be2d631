from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from archsearch import spaces
from archsearch.evaluators import GHN, TrainingEvaluator
from archsearch.evaluators.space_source import space_source
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose


def network(choose: Choose, num_classes: int = 10, in_channels: int = 1, rate: int = 2) -> nn.Module:
    width = choose.one("width", [4, 8])
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, rate), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)
    )


def space_of(build: Callable[..., nn.Module]) -> ModuleSpace:
    return ModuleSpace(build, torch.zeros(1, 1, 8, 8), "one_name")


def test_another_function_of_one_name_has_another_fingerprint() -> None:
    first, second = space_of(network), space_of(partial(network, rate=1))
    assert space_source(first) == space_source(space_of(network)) != space_source(second)
    assert TrainingEvaluator(first, "digits").fingerprint() != TrainingEvaluator(second, "digits").fingerprint()
    assert GHN(first, "digits").recipe() != GHN(second, "digits").recipe()
    assert space_source(spaces.get("nasbench201")) == {}


def test_the_weights_of_a_given_network_count() -> None:
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed[0].weight[0, 0, 0, 0] += 1e-3
    given = [ModuleSpace.around(each, torch.zeros(1, 1, 8, 8)) for each in (model, copy.deepcopy(model), changed)]
    same, again, other = map(space_source, given)
    assert same == again != other
    assert space_source(ModuleSpace.around(model, torch.zeros(1, 1, 8, 8), kernels=(3,))) != same
