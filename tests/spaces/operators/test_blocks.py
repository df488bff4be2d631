"""Blocks of operators: their links, shapes and costs."""

from __future__ import annotations

import pytest
import torch

from archsearch.spaces.operators import BatchNorm, Chain, bn_relu, conv_bn, conv_bn_relu, pooled_shortcut, relu_conv_bn


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (conv_bn(3, 8, 3), ["conv", "bn"]),
        (relu_conv_bn(3, 8, 3), ["relu", "conv", "bn"]),
        (conv_bn_relu(3, 8, 3), ["conv", "bn", "relu"]),
        (bn_relu(8), ["bn", "relu"]),
        (pooled_shortcut(3, 8), ["pool", "conv"]),
    ],
)
def test_the_order_of_the_links(block: Chain, names: list[str]) -> None:
    assert [name for name, _ in block.links] == names


@pytest.mark.parametrize(
    "block", [conv_bn(3, 8, 3, 2), relu_conv_bn(3, 8, 3, 2), conv_bn_relu(3, 8, 3, 2), pooled_shortcut(3, 8)]
)
def test_all_of_them_can_halve_the_size(block: Chain) -> None:
    assert block.output_shape((3, 9, 8)) == (8, 5, 4)


def test_replicas_multiply_the_channels() -> None:
    block = conv_bn(3, 8, 3, replicas=2)
    assert block.output_shape((6, 4, 4)) == (16, 4, 4)
    assert block.parameter_shapes() == {"conv.weight": (16, 3, 3, 3), "bn.weight": (16,), "bn.bias": (16,)}
    assert dict(bn_relu(4, replicas=3).links)["bn"] == BatchNorm(4, replicas=3)


def test_a_shortcut_is_the_mean_of_each_square_of_four_mixed_by_a_convolution() -> None:
    block = pooled_shortcut(2, 3)
    images = torch.randn(2, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    (weight,) = block.initial_parameters(torch.Generator().manual_seed(1))
    means = images.reshape(2, 2, 2, 2, 3, 2).mean((3, 5))
    expected = torch.einsum("bchw,oc->bohw", means, weight[:, :, 0, 0])
    torch.testing.assert_close(block.apply([images], (weight,)), expected)
