"""Networks of the anytime space: by hand, exits and their MACs."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators import AnytimeModel
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


FORM = {"channels": 4, "widening": 2, "relus": 2, "exit_nodes": 3, "exit_regions": 2}
CHAIN = '[[["conv_3x3",[0],2],["conv_1x1",[1],4,"exit"],["max_pool_3x3",[0,1],1]],[["conv_1x1",[0],2]]]'


def test_the_paper_has_each_setting_at_one() -> None:
    for seed in range(5):
        architecture = draw(SMALL, seed)
        ones = dict.fromkeys(SMALL.later_scale, 1)
        assert SMALL.plan(architecture, 10, 3, channels=4, **ones) == SMALL.plan(architecture, 10, 3, channels=4)


def test_a_wider_form_equals_the_computation_by_hand() -> None:
    space = Anytime(nodes=(3, 1))
    plan = space.plan(space.parse(CHAIN), 5, 3, **FORM)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    weights = initial_parameters(plan, torch.Generator().manual_seed(1))

    def rectified(name: str, x: Tensor) -> Tensor:
        scale, shift = weights[f"{name}_bn"]
        return (normalised(x) * scale[:, None, None] + shift[:, None, None]).relu()

    def regions(x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 2).flatten(1)

    stem = rectified("stem", F.conv2d(images, weights["stem"][0], padding=1))
    node1 = rectified("cell0_node1", F.conv2d(F.avg_pool2d(stem, 2), weights["cell0_node1"][0], padding=1))
    node2 = rectified("cell0_node2", F.conv2d(F.avg_pool2d(node1, 2), weights["cell0_node2"][0]))
    both = torch.cat([stem, nn.Upsample(scale_factor=2)(node1)], 1)
    node3 = rectified("cell0_node3", F.conv2d(F.max_pool2d(both, 3, 1, 1), weights["cell0_node3"][0]))
    assert [node.shape[1] for node in (node1, node2, node3)] == [8, 16, 4]
    early = F.linear(torch.cat([regions(node) for node in (node2, node1, stem)], 1), *weights["cell0_node2_exit"])
    leaves = torch.cat([nn.Upsample(scale_factor=2)(node2), F.avg_pool2d(node3, 2)], 1)
    bridge = rectified("cell1_input", F.conv2d(leaves, weights["cell1_input"][0]))
    last = rectified("cell1_node1", F.conv2d(F.avg_pool2d(bridge, 2), weights["cell1_node1"][0]))
    expected = [early, F.linear(regions(last), *weights["classifier"])]
    for logits, by_hand in zip(plan.apply(images, weights), expected, strict=True):
        torch.testing.assert_close(logits, by_hand, rtol=1e-3, atol=1e-4)


def test_a_wider_form_costs_what_a_count_by_hand_says() -> None:
    space = Anytime(nodes=(3, 1))
    stem, node1, node2, node3 = 27 * 4 * 256, 9 * 4 * 8 * 64, 8 * 16 * 16, (4 + 8) * 4 * 256
    early, bridge, last, classifier = 5 * (4 * (16 + 8 + 4) + 1), (16 + 4) * 8 * 64, 8 * 16 * 16, 5 * (4 * 16 + 1)
    first = stem + node1 + node2 + early
    costs = (first, first + node3 + bridge + last + classifier)
    assert space.exit_macs(space.parse(CHAIN), (3, 16, 16), 5, **FORM) == costs
    assert space.cost(space.parse(CHAIN), (3, 16, 16), 5, **FORM).macs == costs[-1]


def test_an_exit_reads_the_nodes_on_its_way_alone() -> None:
    space = Anytime(nodes=(3,))
    architecture = space.parse('[[["conv_1x1",[0],1],["conv_5x5",[0],1],["conv_1x1",[1],1,"exit"]]]')
    wide, narrow = (space.exit_macs(architecture, (3, 16, 16), 10, channels=4, exit_nodes=number)[0] for number in (20, 1))
    assert wide - narrow == 10 * 2 * 4, "the classifier also reads node 1 and the stem; node 2 is not computed"


@settings(deadline=None, max_examples=15)
@given(seed=seeds, size=st.sampled_from([3, 8, 19]))
def test_costs_of_a_wider_form_rise_to_that_of_the_network(seed: int, size: int) -> None:
    architecture, shape, form = draw(SMALL, seed), (3, size, size), FORM | {"exit_mean": 3}
    macs = SMALL.exit_macs(architecture, shape, 10, **form)
    assert all(early < late for early, late in pairwise(macs))
    plan = SMALL.plan(architecture, 10, 3, **form)
    assert plan.cost(shape) == SMALL.cost(architecture, shape, 10, **form)
    assert macs[-1] == plan.cost(shape).macs


def test_an_exit_answers_with_the_mean_of_the_last_ones() -> None:
    architecture = draw(SMALL, 1)
    alone, joined = (SMALL.build(architecture, 5, 3, channels=4, exit_mean=mean) for mean in (1, 2))
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for own, trained in zip(alone(images), joined(images), strict=True):
        assert torch.equal(own, trained), "in training each exit has its own loss"
    with torch.no_grad():
        own, answers = alone.eval()(images), joined.eval()(images)
    assert torch.equal(answers[0], own[0])
    for number in range(1, len(own)):
        torch.testing.assert_close(answers[number], (own[number - 1] + own[number]) / 2)


def test_what_exits_share_stops_with_them() -> None:
    model = AnytimeModel.counted(SMALL.build(draw(SMALL, 1), 5, 3, channels=4, exit_mean=9), (3, 16, 16))
    plan = model.network.plan
    assert list(plan.outputs) == sorted(plan.outputs), "an answer stands behind its exit, before the steps of later ones"
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for answer, budget in zip(model.answers(images), model.costs, strict=True):
        torch.testing.assert_close(answer, model.predict(images, budget=budget).logits)


@pytest.mark.parametrize("name", [*Anytime.later_scale, "channels"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        TINY.plan(TINY.parse(TEXT), 10, 3, **{name: 0})


def test_more_than_two_places_of_relus_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"scale\['relus'\]: expected 1, before convolutions, or 2, after nodes too; got 3"
    ):
        TINY.plan(TINY.parse(TEXT), 10, 3, relus=3)
