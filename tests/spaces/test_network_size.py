"""The widest network under a budget of MACs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network_size import largest_channels

CELL = NASBench201().parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")


@given(st.floats(1e6, 1e9))
@settings(deadline=None, max_examples=20)
def test_one_more_channel_is_too_much(macs: float) -> None:
    space = NASBench201()
    channels = largest_channels(space, CELL, macs, (3, 16, 16), 10)
    under, over = (space.cost(CELL, (3, 16, 16), 10, channels=number).macs for number in (channels, channels + 1))
    assert under < macs <= over


@pytest.mark.parametrize("name", spaces.names())
def test_mobile_networks_of_all_spaces(name: str) -> None:
    space = spaces.get(name)
    architecture = space.sample(np.random.default_rng(0))
    channels = largest_channels(space, architecture, 600e6, (3, 28, 28), 1000)
    assert 0.5 * 600e6 < space.cost(architecture, (3, 28, 28), 1000, channels=channels).macs < 600e6


@pytest.mark.parametrize(
    ("macs", "scale", "message"),
    [
        (10.0, {}, "macs: expected a budget that the narrowest network keeps; got 10"),
        (1e6, {"channels": 4}, "space: expected one with a scale setting 'channels' that is not given"),
        (1e6, {"cell": 4}, "scale: nasbench201 has no setting 'cell'"),
    ],
)
def test_impossible_settings_are_refused(macs: float, scale: Mapping[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        largest_channels(NASBench201(), CELL, macs, (3, 16, 16), 10, **scale)
