from __future__ import annotations

import torch
from torch import Tensor, nn

from archsearch.spaces.operators import (
    AveragePool,
    BatchNorm,
    Chain,
    Convolution,
    ReLU,
    bn_relu,
    conv_bn,
    conv_bn_relu,
    pooled_shortcut,
    relu_conv_bn,
)

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def filled(chain: Chain, module: nn.Module) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Give the module the chain's initial parameters, and return those with fresh buffers."""
    parameters = chain.initial_parameters(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for target, source in zip(module.parameters(), parameters, strict=True):
            target.copy_(source)
    return parameters, chain.initial_buffers()


def assert_equal_to(chain: Chain, module: nn.Module) -> None:
    parameters, buffers = filled(chain, module)
    for training in (True, False):
        output = chain.apply([IMAGES], parameters, buffers, training)
        torch.testing.assert_close(output, module.train(training)(IMAGES))
        assert chain.output_shape((3, 8, 8)) == tuple(output.shape[1:])
    assert [tuple(tensor.shape) for tensor in parameters] == list(chain.parameter_shapes().values())
    assert [tuple(tensor.shape) for tensor in buffers] == list(chain.buffer_shapes().values())


def test_relu_conv_bn_is_the_published_block() -> None:
    module = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 5, 3, 2, padding=1, bias=False), nn.BatchNorm2d(5))
    assert_equal_to(relu_conv_bn(3, 5, 3, 2), module)


def test_conv_bn_is_the_published_stem() -> None:
    assert_equal_to(conv_bn(3, 5, 3), nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5)))


def test_conv_bn_relu_is_the_published_vertex() -> None:
    module = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5), nn.ReLU())
    assert_equal_to(conv_bn_relu(3, 5, 3), module)


def test_bn_relu_is_the_published_last_activation() -> None:
    assert_equal_to(bn_relu(3), nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))


def test_pooled_shortcut_is_the_published_downsampling() -> None:
    module = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(3, 5, 1, bias=False))
    assert_equal_to(pooled_shortcut(3, 5), module)


def test_two_normalisations_keep_their_own_statistics() -> None:
    links = (("a", BatchNorm(3)), ("conv", Convolution(3, 2, (1, 1))), ("b", BatchNorm(2)))
    assert_equal_to(Chain(links), nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2)))


def test_names_contain_the_link() -> None:
    chain = relu_conv_bn(3, 5, 3)
    assert list(chain.parameter_shapes()) == ["conv.weight", "bn.weight", "bn.bias"]
    assert list(chain.buffer_shapes()) == ["bn.running_mean", "bn.running_var"]


def test_macs_follow_the_shapes_through_the_chain() -> None:
    first, second = Convolution(3, 4, (3, 3), stride=2), Convolution(4, 6, (1, 1))
    chain = Chain((("first", first), ("pool", AveragePool(2, 2)), ("second", second), ("relu", ReLU())))
    assert chain.macs((3, 8, 8)) == first.macs((3, 8, 8)) + second.macs((4, 2, 2)) == 4 * 27 * 16 + 6 * 4 * 4


def test_chains_of_equal_links_are_equal() -> None:
    assert relu_conv_bn(3, 5, 3) == relu_conv_bn(3, 5, 3)
    assert hash(relu_conv_bn(3, 5, 3)) == hash(relu_conv_bn(3, 5, 3))
    assert relu_conv_bn(3, 5, 3) != relu_conv_bn(3, 5, 1)
