from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor

from archsearch.errors import ConfigurationError
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network
from archsearch.spaces.operators import GlobalAveragePool, Linear, conv_bn
from archsearch.spaces.plan import PlanBuilder

SPACE = NASBench201()
TEXT = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
SCALE = {"channels": 4, "cells_per_stage": 1}


def images(seed: int = 0, size: int = 8) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(seed))


def two_exits() -> Network:
    build = PlanBuilder(in_channels=3)
    x = build.add("stem", conv_bn(3, 4, 3), build.input)
    early = build.add("early", Linear(4, 5), build.add("early_pool", GlobalAveragePool(), x))
    x = build.add("late_conv", conv_bn(4, 6, 3, 2), x)
    late = build.add("late", Linear(6, 5), build.add("late_pool", GlobalAveragePool(), x))
    return Network(build.finish(early, late))


def test_several_exits_give_a_list() -> None:
    logits = two_exits()(images())
    assert isinstance(logits, list)
    assert [tuple(tensor.shape) for tensor in logits] == [(4, 5), (4, 5)]


def test_one_exit_gives_a_tensor() -> None:
    logits = SPACE.build(SPACE.parse(TEXT), 5, 3, **SCALE)(images())
    assert isinstance(logits, Tensor)
    assert logits.shape == (4, 5)


def test_state_is_saved_and_loaded() -> None:
    network, other = two_exits(), Network(two_exits().plan, torch.Generator().manual_seed(5))
    network(images())
    other.load_state_dict(network.state_dict())
    for left, right in zip(network.eval()(images(1)), other.eval()(images(1)), strict=True):
        assert torch.equal(left, right)


def test_a_network_survives_pickling() -> None:
    network = two_exits().eval()
    copy = pickle.loads(pickle.dumps(network))
    assert torch.equal(copy(images())[1], network(images())[1])


def test_parameter_names_contain_step_and_role() -> None:
    names = [name for name, _ in two_exits().named_parameters()]
    assert names[:4] == ["steps.stem.conv_weight", "steps.stem.bn_weight", "steps.stem.bn_bias", "steps.early.weight"]


def test_evaluation_leaves_the_running_statistics_alone() -> None:
    network = two_exits().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(images())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("scale", [{"channels": 0}, {"channels": 2.5}, {"replicas": True}, {"cells_per_stage": -1}])
def test_scale_must_be_positive_whole_numbers(scale: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"scale\['\w+'\]: expected a whole number of at least 1"):
        SPACE.build(SPACE.parse(TEXT), **scale)


def test_unknown_scale_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no setting 'chanels'\. Did you mean 'channels'\?"):
        SPACE.cost(SPACE.parse(TEXT), chanels=4)
