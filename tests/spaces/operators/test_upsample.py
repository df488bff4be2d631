from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import AveragePool, Chain, Upsample


@settings(deadline=None, max_examples=60)
@given(
    target=st.sampled_from([1, 2, 3]),
    ratio=st.sampled_from([1, 2, 4]),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
)
def test_each_position_takes_the_value_below_it(target: int, ratio: int, height: int, width: int) -> None:
    operator, images = Upsample(target * ratio, target), torch.zeros(2, 3, height, width)
    size = -(-height // (target * ratio)), -(-width // (target * ratio))
    coarse = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0))
    output = operator.apply([coarse, images])
    assert tuple(output.shape[1:]) == operator.output_shape(tuple(coarse.shape[1:]), (3, height, width))
    assert output.shape == (2, 5, -(-height // target), -(-width // target))
    for row in range(output.shape[2]):
        for column in range(output.shape[3]):
            assert torch.equal(output[:, :, row, column], coarse[:, :, row // ratio, column // ratio])


def test_the_gradient_counts_the_copies() -> None:
    coarse = torch.zeros(1, 1, 2, 2, requires_grad=True)
    Upsample(2, 1).apply([coarse, torch.zeros(1, 3, 3, 4)]).sum().backward()
    assert coarse.grad is not None
    assert coarse.grad.tolist() == [[[[4.0, 4.0], [2.0, 2.0]]]]


@pytest.mark.parametrize("size", [1, 5, 8, 13])
def test_pooled_maps_come_back_to_their_size(size: int) -> None:
    images = torch.randn(1, 2, size, size, generator=torch.Generator().manual_seed(0))
    pooled = Chain((("a", AveragePool(2, 2)), ("b", AveragePool(2, 2)))).apply([images])
    assert Upsample(4, 1).apply([pooled, images]).shape == images.shape
    constant = AveragePool(2, 2).apply([torch.ones_like(images)])
    assert torch.equal(Upsample(2, 1).apply([constant, images]), torch.ones_like(images))


def test_it_learns_nothing_and_multiplies_nothing() -> None:
    assert Upsample(4, 2).parameter_shapes() == {}
    assert Upsample(4, 2).macs((5, 2, 2), (3, 8, 8)) == 0


@pytest.mark.parametrize(("source", "target"), [(2, 4), (3, 2), (2, 0)])
def test_sizes_that_do_not_divide_are_refused(source: int, target: int) -> None:
    with pytest.raises(ConfigurationError, match="target: expected a divisor of the source factor"):
        Upsample(source, target)
