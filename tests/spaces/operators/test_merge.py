from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archsearch.spaces.operators import Concatenate, Identity, Operator, Sum, Zero


def maps(channels: int, seed: int) -> Tensor:
    return torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_identity_passes_its_input_on() -> None:
    images = maps(3, 0)
    assert Identity().apply([images]) is images


def test_zero_gives_zeros_and_stops_gradients() -> None:
    images = maps(3, 0).requires_grad_()
    output = Zero().apply([images])
    assert torch.equal(output, torch.zeros(2, 3, 4, 5))
    assert not output.requires_grad


@pytest.mark.parametrize("terms", [1, 2, 4])
def test_sum_adds_each_input_once(terms: int) -> None:
    inputs = [maps(3, seed).requires_grad_() for seed in range(terms)]
    output = Sum().apply(inputs)
    torch.testing.assert_close(output, torch.stack(inputs).sum(0))
    output.sum().backward()
    for tensor in inputs:
        assert tensor.grad is not None
        assert torch.equal(tensor.grad, torch.ones_like(tensor))


def test_sum_leaves_its_inputs_alone() -> None:
    inputs = [maps(3, 0), maps(3, 1)]
    Sum().apply(inputs)
    assert torch.equal(inputs[0], maps(3, 0))


@pytest.mark.parametrize("channels", [(3,), (2, 3), (1, 4, 2)])
def test_concatenation_keeps_the_order(channels: tuple[int, ...]) -> None:
    inputs = [maps(width, seed) for seed, width in enumerate(channels)]
    output = Concatenate().apply(inputs)
    for part, expected in zip(output.split(channels, dim=1), inputs, strict=True):
        assert torch.equal(part, expected)


@pytest.mark.parametrize(
    ("operator", "channels"), [(Identity(), (3,)), (Zero(), (3,)), (Sum(), (3, 3, 3)), (Concatenate(), (1, 4, 2))], ids=repr
)
def test_output_shape_is_that_of_the_output(operator: Operator, channels: tuple[int, ...]) -> None:
    shapes = [(width, 4, 5) for width in channels]
    output = operator.apply([maps(width, seed) for seed, width in enumerate(channels)])
    assert operator.output_shape(*shapes) == tuple(output.shape[1:])
    assert operator.macs(*shapes) == 0
    assert operator.parameter_shapes() == {}
