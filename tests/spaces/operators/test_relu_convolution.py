from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.spaces.operators import Chain, relu_asymmetric_conv, relu_conv, relu_separable_conv

CASES = [
    (relu_conv(4, 6, 5), [nn.Conv2d(4, 6, 5, padding=2, bias=False)]),
    (relu_conv(4, 6, 1, 2), [nn.Conv2d(4, 6, 1, 2, bias=False)]),
    (
        relu_separable_conv(4, 6, 3),
        [nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.Conv2d(4, 6, 1, bias=False)],
    ),
    (
        relu_separable_conv(4, 4, 5, dilation=2),
        [nn.Conv2d(4, 4, 5, padding=4, dilation=2, groups=4, bias=False), nn.Conv2d(4, 4, 1, bias=False)],
    ),
    (
        relu_asymmetric_conv(4, 7),
        [nn.Conv2d(4, 4, (1, 7), padding=(0, 3), bias=False), nn.Conv2d(4, 4, (7, 1), padding=(3, 0), bias=False)],
    ),
]


@pytest.mark.parametrize(("chain", "layers"), CASES)
def test_operators_are_those_of_torch(chain: Chain, layers: list[nn.Module]) -> None:
    module = nn.Sequential(nn.ReLU(), *layers)
    images = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0))
    weights = [parameter.detach() for parameter in module.parameters()]
    expected = module(images)
    torch.testing.assert_close(chain.apply([images], weights), expected)
    assert list(chain.parameter_shapes().values()) == [tuple(weight.shape) for weight in weights]
    assert chain.output_shape((4, 9, 8)) == tuple(expected.shape[1:])
    assert chain.buffer_shapes() == {}


def test_macs_of_an_asymmetric_convolution() -> None:
    assert relu_asymmetric_conv(3, 7).macs((3, 5, 4)) == 2 * 7 * 3 * 3 * 5 * 4


def test_macs_of_a_separable_convolution() -> None:
    assert relu_separable_conv(3, 8, 5, dilation=2).macs((3, 5, 4)) == (25 * 3 + 3 * 8) * 5 * 4
