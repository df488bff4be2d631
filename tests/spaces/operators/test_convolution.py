from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import Convolution

CASES = [
    Convolution(3, 5, (3, 3)),
    Convolution(3, 5, (1, 1), stride=2),
    Convolution(4, 6, (5, 3), stride=2),
    Convolution(4, 4, (3, 3), dilation=2),
    Convolution(4, 4, (5, 5), groups=4, dilation=2, stride=2),
    Convolution(4, 8, (1, 7), groups=2),
]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def reference(operator: Convolution) -> nn.Conv2d:
    return nn.Conv2d(
        operator.in_channels,
        operator.out_channels,
        operator.kernel,
        operator.stride,
        padding=tuple(operator.dilation * (size // 2) for size in operator.kernel),
        dilation=operator.dilation,
        groups=operator.groups,
        bias=False,
    )


@pytest.mark.parametrize("operator", CASES, ids=repr)
def test_values_and_gradients_are_those_of_torch(operator: Convolution) -> None:
    module = reference(operator)
    weight = module.weight.detach().clone().requires_grad_()
    images = draw(2, operator.in_channels, 9, 8).requires_grad_()
    again = images.detach().clone().requires_grad_()
    output, expected = operator.apply([images], [weight]), module(again)
    assert torch.equal(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    assert module.weight.grad is not None and weight.grad is not None
    assert torch.equal(weight.grad, module.weight.grad)
    assert images.grad is not None and again.grad is not None
    assert torch.equal(images.grad, again.grad)


@pytest.mark.parametrize("operator", CASES, ids=repr)
def test_parameter_shapes_are_those_of_torch(operator: Convolution) -> None:
    (weight,) = operator.initial_parameters(torch.Generator().manual_seed(0))
    assert operator.parameter_shapes() == {"weight": tuple(reference(operator).weight.shape)} == {"weight": tuple(weight.shape)}


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_output_shape_is_that_of_the_output(kernel: int, stride: int, dilation: int, height: int, width: int) -> None:
    operator = Convolution(2, 3, (kernel, kernel), stride, dilation)
    output = operator.apply([draw(1, 2, height, width)], operator.initial_parameters(torch.Generator()))
    assert operator.output_shape((2, height, width)) == tuple(output.shape[1:])
    assert output.shape[2:] == (math.ceil(height / stride), math.ceil(width / stride))


def test_macs_are_the_products_of_a_slow_convolution() -> None:
    operator = Convolution(2, 4, (3, 3), stride=2, groups=2)
    image, (weight,) = draw(2, 5, 4), operator.initial_parameters(torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    slow, products = torch.zeros(operator.output_shape((2, 5, 4))), 0
    for channel, row, column in itertools.product(*map(range, slow.shape)):
        for tap_row, tap_column in itertools.product(range(3), range(3)):
            source = channel // 2  # two output channels a group, one input channel a group
            slow[channel, row, column] += (
                weight[channel, 0, tap_row, tap_column] * padded[source, 2 * row + tap_row, 2 * column + tap_column]
            )
            products += 1
    assert operator.macs((2, 5, 4)) == products
    torch.testing.assert_close(operator.apply([image[None]], [weight])[0], slow)


def test_initial_weights_have_the_published_variance() -> None:
    (weight,) = Convolution(32, 64, (3, 3)).initial_parameters(torch.Generator().manual_seed(0))
    assert weight.var().item() == pytest.approx(2 / (32 * 9), rel=0.05)
    assert weight.mean().item() == pytest.approx(0, abs=0.002)


def test_replicas_do_not_mix() -> None:
    single, double = Convolution(3, 4, (3, 3), groups=1), Convolution(3, 4, (3, 3), replicas=2)
    left, right, weights = draw(2, 3, 6, 6, seed=1), draw(2, 3, 6, 6, seed=2), draw(2, 4, 3, 3, 3, seed=3)
    output = double.apply([torch.cat([left, right], 1)], [weights.flatten(0, 1)])
    expected = torch.cat([single.apply([left], [weights[0]]), single.apply([right], [weights[1]])], 1)
    torch.testing.assert_close(output, expected)
    assert double.macs((6, 6, 6)) == 2 * single.macs((3, 6, 6))


@pytest.mark.parametrize("kernel", [(2, 2), (3, 2), (4, 1)])
def test_even_kernels_are_refused(kernel: tuple[int, int]) -> None:
    with pytest.raises(ConfigurationError, match="kernel: expected odd sizes"):
        Convolution(1, 1, kernel)
