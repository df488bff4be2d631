"""Networks of the anytime space: by hand, exits and their MACs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archsearch.spaces.anytime import Anytime
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.network import Network
from archsearch.spaces.plan import Plan, initial_parameters

SPACE, SMALL, TINY = Anytime(), Anytime(nodes=(5, 3, 2), exit_probability=0.5), Anytime(nodes=(2, 1))
TEXT = '[[["conv_3x3",[0],2],["max_pool_3x3",[0,1],1,"exit"]],[["conv_1x1",[0],4]]]'
seeds = st.integers(0, 2**32 - 1)


def draw(space: Anytime, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed))


def normalised(x: Tensor) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def test_a_small_network_equals_the_computation_by_hand() -> None:
    plan = TINY.plan(TINY.parse(TEXT), 5, 3, channels=4)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    weights = initial_parameters(plan, torch.Generator().manual_seed(1))
    stem = normalised(F.conv2d(images, weights["stem"][0], padding=1))
    node1 = normalised(F.conv2d(F.avg_pool2d(stem, 2).relu(), weights["cell0_node1"][0], padding=1))
    both = torch.cat([stem, nn.Upsample(scale_factor=2)(node1)], 1)
    node2 = normalised(F.conv2d(F.max_pool2d(both, 3, 1, 1).relu(), weights["cell0_node2"][0]))
    early = F.linear(node2.relu().mean((2, 3)), *weights["cell0_node2_exit"])
    bridge = normalised(F.conv2d(F.avg_pool2d(node2, 2).relu(), weights["cell1_input"][0]))
    last = normalised(F.conv2d(F.avg_pool2d(F.avg_pool2d(bridge, 2), 2).relu(), weights["cell1_node1"][0]))
    expected = [early, F.linear(last.relu().mean((2, 3)), *weights["classifier"])]
    for logits, by_hand in zip(plan.apply(images, weights), expected, strict=True):
        torch.testing.assert_close(logits, by_hand, rtol=1e-3, atol=1e-4)


def test_macs_are_those_of_a_count_by_hand() -> None:
    stem, node1, node2, early = 27 * 4 * 256, 9 * 16 * 64, 2 * 16 * 256, 5 * (4 + 1)
    bridge, last, classifier = 4 * 8 * 64, 8 * 8 * 4, 5 * (8 + 1)
    first = stem + node1 + node2 + early
    assert TINY.exit_macs(TINY.parse(TEXT), (3, 16, 16), 5, channels=4) == (first, first + bridge + last + classifier)


def test_an_exit_pays_for_what_it_depends_on_alone() -> None:
    space = Anytime(nodes=(3,))
    side = space.parse('[[["conv_5x5",[0],1],["conv_1x1",[0],1,"exit"],["conv_3x3",[2],1]]]')
    alone = Anytime(nodes=(1,))
    expected = alone.exit_macs(alone.parse('[[["conv_1x1",[0],1,"exit"]]]'))[0]
    assert space.exit_macs(side)[0] == expected, "node 1 stands before the exit in the text, and not on the way to it"


def test_the_order_of_exits_is_that_of_their_macs() -> None:
    space = Anytime(nodes=(3,))
    architecture = space.parse('[[["conv_5x5",[0],1,"exit"],["conv_1x1",[0],1,"exit"],["conv_1x1",[0],4,"exit"]]]')
    plan = space.plan(architecture, 10, 3, channels=8)
    names = [plan.steps[slot - 1].name for slot in plan.outputs]
    assert names == ["cell0_node3_exit", "cell0_node2_exit", "cell0_node1_exit", "classifier"]


@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_the_last_exit_is_the_last_classifier(seed: int) -> None:
    plan = SPACE.plan(draw(SPACE, seed), 10, 3, channels=2)
    assert plan.steps[plan.outputs[-1] - 1].name == "classifier"
    assert len(plan.live_steps) == len(plan.steps), "each step leads to an exit"


def network_of(space: Anytime, architecture: Architecture) -> Network:
    return space.build(architecture, 5, 3, channels=4)


def test_the_network_returns_the_logits_of_each_exit() -> None:
    architecture = draw(SMALL, 1)
    logits = network_of(SMALL, architecture)(torch.zeros(2, 3, 16, 16))
    assert isinstance(logits, list)
    assert [tuple(tensor.shape) for tensor in logits] == [(2, 5)] * len(SMALL.exit_macs(architecture))


def test_a_network_without_early_exits_returns_one_tensor() -> None:
    space = Anytime(nodes=(3, 2), exit_probability=0.0)
    logits = network_of(space, draw(space, 0))(torch.zeros(2, 3, 16, 16))
    assert isinstance(logits, Tensor)
    assert len(space.exit_macs(draw(space, 0))) == 1


@pytest.mark.parametrize("seed", range(3))
def test_an_early_exit_does_not_see_what_is_not_paid_for(seed: int) -> None:
    network = network_of(SMALL, draw(SMALL, seed)).eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        before = network(images)
        paid = {step.name for _, step, _ in Plan(3, network.plan.steps, network.plan.outputs[:1]).live_steps}
        for name, module in network.steps.items():
            if name not in paid:
                for parameter in module.parameters():
                    parameter.add_(1.0)
        after = network(images)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[-1], after[-1])


@pytest.mark.parametrize("size", [(32, 32), (19, 13), (5, 40)])
def test_nodes_work_at_their_scale(size: tuple[int, int]) -> None:
    architecture = draw(SMALL, 3)
    plan = SMALL.plan(architecture, 5, 3, channels=4)
    shapes = plan.shapes((3, *size))
    slots = {step.name: slot for slot, step in enumerate(plan.steps, start=1)}
    for index, nodes in enumerate(json.loads(str(architecture))):
        for number, (_, _, scale, *_) in enumerate(nodes, start=1):
            factor = 2**index * scale
            assert shapes[slots[f"cell{index}_node{number}"]] == (4 * 2**index, -(-size[0] // factor), -(-size[1] // factor))
    outputs = SMALL.build(architecture, 5, 3, channels=4)(torch.zeros(2, 3, *size))
    assert [tuple(logits.shape) for logits in outputs] == [(2, 5)] * len(plan.outputs)
