"""Networks of the cells space against a computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.spaces.cells import OPERATORS, Cells
from archsearch.spaces.networks.cells import node_operator
from archsearch.spaces.plan import initial_parameters

SPACE = Cells()
TINY = Cells(nodes=4)
PAIR = '[["conv_1x1",[0,1]],["conv_1x7_7x1",[2]]]'


def normalised(x: Tensor) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def test_one_block_equals_the_computation_by_hand() -> None:
    plan = TINY.plan(TINY.parse('[["conv_1x1",[0,1]],["max_pool_3x3",[0,2]]]'), 5, 3, blocks=1, channels=4)
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    weights = initial_parameters(plan, torch.Generator().manual_seed(1))
    stem = normalised(F.conv2d(images, weights["stem"][0], padding=1))
    inputs = [normalised(F.conv2d(stem.relu(), weights[f"block0_input{number}"][0])) for number in (0, 1)]
    (shared,) = weights["block0_node2"]
    node2 = normalised(F.conv2d(inputs[0].relu(), shared)) + normalised(F.conv2d(inputs[1].relu(), shared))
    node3 = F.max_pool2d(inputs[0], 3, 1, 1) + F.max_pool2d(node2, 3, 1, 1)
    expected = F.linear(node3.relu().mean((2, 3)), *weights["classifier"])
    torch.testing.assert_close(plan.apply(images, weights)[0], expected, rtol=1e-4, atol=1e-5)


def test_two_inputs_share_the_weights_and_not_the_statistics() -> None:
    network = TINY.build(TINY.parse(PAIR), in_channels=3, blocks=1, channels=4)
    network.train()(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    state = network.state_dict()
    steps = [step.name for step in network.plan.steps]
    assert steps.count("block0_node2") == 2
    assert not torch.equal(state["steps.block0_node2_bn0.running_mean"], state["steps.block0_node2_bn1.running_mean"])


def test_a_block_reads_the_two_blocks_before_it() -> None:
    plan = TINY.plan(TINY.parse(PAIR), 10, 3, blocks=3, channels=4)
    reads = {
        step.name: plan.steps[step.inputs[0] - 1].name for step in plan.steps if "_input" in step.name and "bn" not in step.name
    }
    assert reads == {
        "block0_input0": "stem_bn",
        "block0_input1": "stem_bn",
        "block1_input0": "stem_bn",
        "block1_input1": "block0_output",
        "block2_input0": "block0_output",
        "block2_input1": "block1_output",
    }


@pytest.mark.parametrize(
    ("blocks", "halved"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 0, 1, 2]), (18, [0] * 6 + [1] * 6 + [2] * 6)]
)
def test_size_is_halved_and_channels_doubled_after_each_third(blocks: int, halved: list[int]) -> None:
    architecture = TINY.parse('[["conv_1x1",[0,1]],["sep_conv_3x3",[1]]]')
    plan = TINY.plan(architecture, 10, 3, blocks=blocks, channels=4)
    shapes = plan.shapes((3, 30, 32))
    outputs = [shapes[slot] for slot, step in enumerate(plan.steps, start=1) if step.name.endswith("_output")]
    assert outputs == [(2 * 4 * 2**stage, math.ceil(30 / 2**stage), 32 // 2**stage) for stage in halved]


def test_parameters_are_those_of_a_count_by_hand() -> None:
    space, c = Cells(nodes=3), 4
    cost = space.cost(space.parse('[["conv_1x7_7x1",[0]]]'), blocks=3, channels=c)
    stem, nodes, classifier = 27 * c, 14 * (c**2 + (2 * c) ** 2 + (4 * c) ** 2), 10 * 2 * 4 * c + 10
    # The output joins the node and the input that it does not read: 2c, 4c and 8c channels.
    bottlenecks = (c * c + c * c) + (c * 2 * c + 2 * c * 2 * c) + (2 * c * 4 * c + 4 * c * 4 * c)
    assert cost.params == stem + bottlenecks + nodes + classifier


def test_shared_weights_cost_once_and_work_twice() -> None:
    space = Cells(nodes=3)
    one, two = (space.cost(space.parse(f'[["sep_conv_5x5",{sources}]]'), blocks=1, channels=8) for sources in ("[0]", "[0,1]"))
    work = (8 * 25 + 8 * 8) * 32 * 32
    assert two.macs - one.macs == work - 8 * 10, "the classifier loses the channels of the unused input"
    assert two.params - one.params == -8 * 10


def test_the_published_scale_has_the_published_number_of_parameters() -> None:
    per_node = sum(
        math.prod(shape)
        for stage in range(3)
        for name in OPERATORS
        for shape in node_operator(name, 32 * 2**stage).parameter_shapes().values()
    )
    nodes = 15 * 6 * per_node / len(OPERATORS)
    assert 4.6e6 < nodes < 5.3e6, "expected parameters of 15 nodes in 18 blocks, bottlenecks left out"
    rng = np.random.default_rng(0)
    params = [SPACE.cost(SPACE.sample(rng)).params for _ in range(50)]
    assert 4e6 < np.mean(params) < 6.5e6
