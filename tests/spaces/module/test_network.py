from __future__ import annotations

import pickle

import torch
from torch import nn

from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose, ModuleNetwork
from archsearch.spaces.plan import initial_parameters


def small(choose: Choose, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    width = choose.one("width", [4, 8])
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)]
    return nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.BatchNorm2d(width), *head)


def test_the_network_calls_the_users_module_and_its_plan_computes_the_same() -> None:
    space = ModuleSpace(small, torch.zeros(1, 3, 8, 8))
    architecture, images = space.parse("width=4"), torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = space.build(architecture, num_classes=5, in_channels=1, generator=torch.Generator().manual_seed(3)).eval()
    assert isinstance(network, ModuleNetwork)
    assert isinstance(network.module, nn.Sequential)
    assert network(images).shape == (2, 5)
    parameters = {"module": tuple(network.module.parameters())}
    buffers = {"module": tuple(network.module.buffers())}
    assert torch.equal(network.plan.apply(images, parameters, buffers, training=False)[0], network(images))
    drawn = initial_parameters(network.plan, torch.Generator().manual_seed(3))["module"]
    assert all(torch.equal(left, right) for left, right in zip(drawn, network.parameters(), strict=True))


def test_a_network_can_be_pickled_with_its_plan() -> None:
    space = ModuleSpace(small, torch.zeros(1, 3, 8, 8))
    network = space.build(space.parse("width=8"))
    copy = pickle.loads(pickle.dumps(network))
    assert copy.plan == network.plan
    assert copy.plan.cost((3, 16, 16)) == space.cost(space.parse("width=8"), (3, 16, 16))
