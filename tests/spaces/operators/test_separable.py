from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.spaces.operators import Chain, separable_conv_bn, twice_separable_conv


def published(in_channels: int, out_channels: int, kernel: int, stride: int) -> list[nn.Module]:
    depthwise = nn.Conv2d(in_channels, in_channels, kernel, stride, kernel // 2, groups=in_channels, bias=False)
    return [depthwise, nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)]


def assert_equal_to(chain: Chain, module: nn.Module, channels: int) -> None:
    images = torch.randn(4, channels, 7, 8, generator=torch.Generator().manual_seed(0))
    parameters, buffers = chain.initial_parameters(torch.Generator().manual_seed(1)), chain.initial_buffers()
    with torch.no_grad():
        for target, source in zip(module.parameters(), parameters, strict=True):
            target.copy_(source)
    for training in (True, False):
        output = chain.apply([images], parameters, buffers, training)
        torch.testing.assert_close(output, module.train(training)(images))
        assert chain.output_shape((channels, 7, 8)) == tuple(output.shape[1:])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_separable_conv_bn_is_the_published_block(kernel: int, stride: int) -> None:
    assert_equal_to(separable_conv_bn(3, 5, kernel, stride), nn.Sequential(*published(3, 5, kernel, stride)), 3)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_twice_separable_conv_is_the_published_sep_conv(kernel: int, stride: int) -> None:
    module = nn.Sequential(nn.ReLU(), *published(4, 4, kernel, stride), nn.ReLU(), *published(4, 4, kernel, 1))
    assert_equal_to(twice_separable_conv(4, kernel, stride), module, 4)


def test_macs_are_those_of_both_convolutions() -> None:
    assert separable_conv_bn(4, 6, 3, 2).macs((4, 8, 8)) == 16 * (4 * 9 + 4 * 6)
    assert twice_separable_conv(4, 5, 2).macs((4, 8, 8)) == 2 * 16 * (4 * 25 + 4 * 4)
