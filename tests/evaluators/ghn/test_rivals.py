"""What the graph hypernetwork is compared with: training for some steps, and weights that all candidates share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators import OneShot, SGDSteps
from archsearch.evaluators.ghn.shared_weights import SharedWeights, channel_sources
from archsearch.spaces import Architecture
from archsearch.spaces.cells import Cells
from archsearch.spaces.enas import ENAS
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"channels": 4, "cells_per_stage": 1}
CONVOLUTION = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
POOLING = SPACE.parse("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")


def drawn(number: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(number)]


def test_more_steps_of_training_give_more() -> None:
    few, many = (SGDSteps(SPACE, "digits", steps, scale=TINY).evaluate([CONVOLUTION])[0] for steps in (1, 40))
    assert few.score < 0.5 < many.score
    assert many.metrics["valid_loss"] < few.metrics["valid_loss"]
    assert many.seconds > 0


def test_training_that_diverges_fails() -> None:
    wild = SGDSteps(SPACE, "digits", 14, scale=TINY, learning_rate=900.0, weight_decay=9.0)
    [evaluation] = wild.evaluate([CONVOLUTION])
    assert evaluation.error is not None
    assert "lower learning_rate" in evaluation.error


def test_shared_weights_learn_for_all_paths() -> None:
    supernet = OneShot(SPACE, "digits", scale=TINY, learning_rate=0.05)
    candidates = drawn(8, seed=1)
    before = supernet.fit(1).evaluate(candidates)
    after = supernet.fit(60).evaluate(candidates)
    assert np.mean([each.score for each in after]) > np.mean([each.score for each in before]) + 0.1
    assert supernet.steps_done == 60


def test_supernet_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "one-shot.pt"
    settings = {"scale": TINY, "batch_size": 16, "spec": None}

    class Interrupted(Exception):
        pass

    first = OneShot(SPACE, "digits", **settings)  # type: ignore[arg-type]
    take = first._step

    def step(weights: SharedWeights, number: int, steps: int) -> float:
        if number == 3:
            raise Interrupted
        return take(weights, number, steps)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit(5, checkpoint=path)
    second = OneShot(SPACE, "digits", **settings).fit(5, checkpoint=path)  # type: ignore[arg-type]
    whole = OneShot(SPACE, "digits", **settings).fit(5)  # type: ignore[arg-type]
    assert second.settings() == whole.settings()
    with pytest.raises(ConfigurationError, match="seed is 1; got 0"):
        OneShot(SPACE, "digits", 1, **settings).fit(6, checkpoint=path)  # type: ignore[arg-type]


def test_networks_share_what_has_one_place_and_one_operator() -> None:
    space, weights = Cells(4), SharedWeights(0, torch.device("cpu"))
    texts = ('[["conv_1x1",[0]],["sep_conv_3x3",[0]]]', '[["conv_1x1",[1]],["conv_1x1",[2]]]')
    first, second = (space.plan(space.parse(text), 10, 1, blocks=3, channels=4) for text in texts)
    keys = weights.grow(first)
    assert {name for name, _ in keys} == {name for name, each in first.operators.items() if each.parameter_shapes()}
    before = weights.parameters(first)
    weights.grow(second)
    after, other = weights.parameters(first), weights.parameters(second)
    assert torch.equal(before["block0_node2"][0], other["block0_node2"][0]), "one place, one operator"
    assert after["block0_node3"][0].shape != other["block0_node3"][0].shape, "one place, two operators"
    for name, tensors in before.items():
        for left, right in zip(tensors, after[name], strict=True):
            assert torch.equal(left, right), "room for more channels keeps those that were there"
    unordered = SharedWeights(0, torch.device("cpu"))
    unordered.grow(first)
    assert torch.equal(unordered.parameters(second)["stem"][0], other["stem"][0])


def test_channels_of_a_concatenation_keep_their_weights_whatever_stands_beside_them() -> None:
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
        weights.grow(plan)
    three, two = weights.parameters(first)["classifier"][0], weights.parameters(third)["classifier"][0]
    assert three.shape == (10, 48)
    assert torch.equal(three[:, 16:], two), "nodes 3 and 4"


def test_step_is_that_of_sgd_with_nesterov_momentum() -> None:
    plan = SPACE.plan(CONVOLUTION, 10, 1, **TINY)
    weights = SharedWeights(0, torch.device("cpu"))
    keys = weights.grow(plan)
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


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="steps: expected"):
        SGDSteps(SPACE, "digits", 0)
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        OneShot(SPACE, "digits").evaluate([POOLING])
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        OneShot(SPACE, "digits").state()
    with pytest.raises(ConfigurationError, match="threads"):
        SGDSteps(SPACE, "digits", 1, threads=0)
    with pytest.raises(ConfigurationError, match="replicas"):
        SGDSteps(SPACE, "digits", 1, scale={"replicas": 2})
    with pytest.raises(ConfigurationError, match="device"):
        SGDSteps(SPACE, "digits", 1, device="abacus", scale=TINY).evaluate([POOLING])
    with pytest.raises(ArchitectureError, match="enas"):
        SGDSteps(SPACE, "digits", 1, scale=TINY).evaluate([ENAS().sample(np.random.default_rng(0))])
