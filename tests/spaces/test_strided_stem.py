"""Networks for large images: the suite of spaces, and the mobile setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.conformance import SpaceConformance
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network_size import MOBILE_MACS, largest_channels
from archsearch.spaces.space import SearchSpace
from archsearch.spaces.strided_stem import StridedStem


class TestStridedStem(SpaceConformance):
    num_samples: ClassVar[int] = 10
    input_shape: ClassVar[tuple[int, int, int]] = (3, 40, 36)

    @pytest.fixture(autouse=True, params=["nasbench201", "anytime"])
    def choose_space(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def make_space(self) -> SearchSpace:
        return StridedStem(Anytime(nodes=(5, 3)) if self.name == "anytime" else NASBench201(), halvings=2)

    def scale(self) -> Mapping[str, int]:
        return {"channels": 4} if self.name == "anytime" else {"channels": 4, "cells_per_stage": 1}


def test_the_inner_network_sees_small_images() -> None:
    space, wrapped = NASBench201(), StridedStem(NASBench201(), halvings=1)
    architecture = space.sample(np.random.default_rng(0))
    network = wrapped.build(architecture, 5, 3, channels=8)
    inner = space.build(architecture, 5, 8 // 2, channels=8)
    inner.load_state_dict({name: tensor for name, tensor in network.state_dict().items() if "halving" not in name})
    images = torch.randn(2, 3, 17, 16)
    stem = wrapped.plan(architecture, 5, 3, channels=8).steps[0]
    module = network.steps[stem.name]
    halved = stem.operator.apply([images], tuple(module.parameters()), tuple(module.buffers()), training=False)
    assert halved.shape == (2, 4, 9, 8)
    torch.testing.assert_close(network.eval()(images), inner.eval()(halved))


def test_a_mobile_network_of_nasnet_cells() -> None:
    space = StridedStem(spaces.get("nasnet"))
    architecture = space.sample(np.random.default_rng(1))
    channels = largest_channels(space, architecture, cells=14)
    cost = space.cost(architecture, channels=channels, cells=14)
    assert 0.9 * MOBILE_MACS < cost.macs < MOBILE_MACS
    assert space.plan(architecture, 1000, 3, channels=channels, cells=14).shapes((3, 224, 224))[3][1:] == (28, 28)


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"scale\['stem_halvings'\]: expected a whole number of at least 1; got 0"):
        StridedStem(NASBench201(), halvings=0)


def test_later_settings_of_the_inner_space_stay_left_out() -> None:
    space = StridedStem(Anytime(nodes=(2, 1)), halvings=2)
    assert space.checked_scale({"widening": 1, "exit_mean": 3}) == {"channels": 16, "stem_halvings": 2, "exit_mean": 3}
