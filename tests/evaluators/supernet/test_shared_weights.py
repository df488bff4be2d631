"""The store of weights that all networks of a space share."""

from __future__ import annotations

import torch

from archsearch.evaluators.supernet.shared_weights import SharedWeights, channel_sources, reads_of
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def test_networks_share_the_weights_of_equal_steps() -> None:
    space, weights = Cells(4), SharedWeights(0, torch.device("cpu"))
    texts = ('[["conv_1x1",[0]],["sep_conv_3x3",[0]]]', '[["conv_1x1",[1]],["conv_1x1",[2]]]')
    first, second = (space.plan(space.parse(text), 10, 1, blocks=3, channels=4) for text in texts)
    keys = weights.grow(reads_of(first).values())
    assert {name for name, _ in keys} == {name for name, each in first.operators.items() if each.parameter_shapes()}
    before = weights.parameters(first)
    weights.grow(reads_of(second).values())
    after, other = weights.parameters(first), weights.parameters(second)
    assert torch.equal(before["block0_node2"][0], other["block0_node2"][0]), "one place, one operator"
    assert after["block0_node3"][0].shape != other["block0_node3"][0].shape, "one place, two operators"
    for name, tensors in before.items():
        for left, right in zip(tensors, after[name], strict=True):
            assert torch.equal(left, right), "room for more channels keeps those that were there"
    unordered = SharedWeights(0, torch.device("cpu"))
    unordered.grow(reads_of(first).values())
    assert torch.equal(unordered.parameters(second)["stem"][0], other["stem"][0])


def test_channels_keep_their_weights_in_every_concatenation() -> None:
    space, weights = Cells(5), SharedWeights(0, torch.device("cpu"))
    texts = (
        '[["conv_1x1",[0]],["conv_1x1",[1]],["max_pool_3x3",[1]]]',  # leaves: 2, 3, 4
        '[["conv_1x1",[0]],["conv_1x1",[1]],["conv_1x1",[2,3]]]',  # leaf: 4
        '[["conv_1x1",[0]],["conv_1x1",[1]],["conv_1x1",[2]]]',  # leaves: 3, 4
    )
    first, second, third = (space.plan(space.parse(text), 10, 1, blocks=3, channels=4) for text in texts)
    assert channel_sources(first)["classifier"] == tuple((f"block2_node{node}", 16) for node in (2, 3, 4))
    assert channel_sources(second)["classifier"] == (("block2_node4", 16),)
    assert channel_sources(first)["block1_input1"] == tuple((f"block0_node{node}", 4) for node in (2, 3, 4))
    for plan in (first, second, third):
        weights.grow(reads_of(plan).values())
    three, two = weights.parameters(first)["classifier"][0], weights.parameters(third)["classifier"][0]
    assert three.shape == (10, 48)
    assert torch.equal(three[:, 16:], two), "nodes 3 and 4"


def test_step_is_that_of_sgd_with_nesterov_momentum() -> None:
    plan = SPACE.plan(CONVOLUTION, 10, 1, **TINY)
    weights = SharedWeights(0, torch.device("cpu"))
    keys = weights.grow(reads_of(plan).values())
    parameters = [torch.nn.Parameter(weights.values[key].clone()) for key in keys]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        gradients = [torch.randn(parameter.shape, generator=generator) for parameter in parameters]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        weights.descend(keys, gradients, 0.1, 0.9, 0.01)
    for key, parameter in zip(keys, parameters, strict=True):
        assert torch.allclose(weights.values[key], parameter.detach(), atol=1e-6)
