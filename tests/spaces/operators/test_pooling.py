from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import AveragePool, GlobalAveragePool, MaxPool, Operator, RegionPool

WINDOWS = [(3, 1), (3, 2), (5, 1), (2, 2), (4, 2), (1, 3)]


def maps(height: int = 7, width: int = 6) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def assert_same_gradients(operator: Operator, module: nn.Module) -> None:
    ours, theirs = maps().requires_grad_(), maps().requires_grad_()
    operator.apply([ours]).square().sum().backward()
    module(theirs).square().sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_average_is_the_mean_of_what_lies_in_the_image(kernel: int, stride: int) -> None:
    output, image = AveragePool(kernel, stride).apply([maps()]), maps()
    first = -((kernel - 1) // 2)
    for row in range(output.shape[2]):
        for column in range(output.shape[3]):
            top, left = first + row * stride, first + column * stride
            window = image[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            torch.testing.assert_close(output[:, :, row, column], window.mean(dim=(2, 3)))


@pytest.mark.parametrize(("kernel", "stride"), WINDOWS)
def test_maximum_is_that_of_what_lies_in_the_image(kernel: int, stride: int) -> None:
    output, image = MaxPool(kernel, stride).apply([maps()]), maps()
    first = -((kernel - 1) // 2)
    for row in range(output.shape[2]):
        for column in range(output.shape[3]):
            top, left = first + row * stride, first + column * stride
            window = image[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            assert torch.equal(output[:, :, row, column], window.amax(dim=(2, 3)))


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_torch(stride: int) -> None:
    assert_same_gradients(AveragePool(3, stride), nn.AvgPool2d(3, stride, padding=1, count_include_pad=False))
    assert_same_gradients(MaxPool(3, stride), nn.MaxPool2d(3, stride, padding=1))


@settings(deadline=None, max_examples=80)
@given(
    window=st.one_of(st.tuples(st.sampled_from([1, 3, 5]), st.integers(1, 4)), st.tuples(st.sampled_from([2, 4]), st.just(2))),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_output_shape_is_that_of_the_output(window: tuple[int, int], height: int, width: int) -> None:
    for operator in (AveragePool(*window), MaxPool(*window)):
        output = operator.apply([maps(height, width)])
        assert operator.output_shape((3, height, width)) == tuple(output.shape[1:])
        assert torch.isfinite(output).all()


@pytest.mark.parametrize("pool", [AveragePool, MaxPool])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (4, 3), (4, 4)])
def test_windows_that_cannot_be_centred_are_refused(pool: type[AveragePool | MaxPool], kernel: int, stride: int) -> None:
    with pytest.raises(ConfigurationError, match="kernel: expected an odd size"):
        pool(kernel, stride)


def test_global_average_is_the_mean_of_each_channel() -> None:
    operator = GlobalAveragePool()
    torch.testing.assert_close(operator.apply([maps()]), nn.AdaptiveAvgPool2d(1)(maps()).flatten(1))
    assert operator.output_shape((3, 7, 6)) == (3,)


@pytest.mark.parametrize(("regions", "height", "width"), [(2, 7, 6), (3, 7, 6), (4, 2, 9), (1, 5, 5)])
def test_means_of_regions_are_those_of_their_positions(regions: int, height: int, width: int) -> None:
    operator, image = RegionPool(regions), maps(height, width)
    output = operator.apply([image]).view(2, 3, regions, regions)
    for row in range(regions):
        for column in range(regions):
            top, bottom = row * height // regions, -(-(row + 1) * height // regions)
            left, right = column * width // regions, -(-(column + 1) * width // regions)
            torch.testing.assert_close(output[:, :, row, column], image[:, :, top:bottom, left:right].mean(dim=(2, 3)))
    assert operator.output_shape((3, height, width)) == (3 * regions**2,)


def test_a_grid_without_regions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="regions: expected at least 1; got 0"):
        RegionPool(0)


@pytest.mark.parametrize("operator", [AveragePool(3), MaxPool(3, 2), GlobalAveragePool(), RegionPool(2)], ids=repr)
def test_pooling_learns_nothing_and_multiplies_nothing(operator: Operator) -> None:
    assert operator.parameter_shapes() == {}
    assert operator.buffer_shapes() == {}
    assert operator.initial_parameters(torch.Generator()) == ()
    assert operator.macs((3, 7, 6)) == 0
