from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archsearch.errors import ConfigurationError
from archsearch.spaces.operators import FactorizedReduction


def images(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (6, 3), (1, 1), (2, 1)])
def test_each_path_reads_its_own_positions(height: int, width: int) -> None:
    operator, batch = FactorizedReduction(3, 6), images(3, height, width)
    even, odd = operator.initial_parameters(torch.Generator().manual_seed(1))
    padded = F.pad(batch, (0, 1, 0, 1))
    expected_even = torch.einsum("oi,bihw->bohw", even[:, :, 0, 0], batch[:, :, 0::2, 0::2])
    expected_odd = torch.einsum("oi,bihw->bohw", odd[:, :, 0, 0], padded[:, :, 1::2, 1::2])
    output = operator.apply([batch], (even, odd))
    torch.testing.assert_close(output, torch.cat([expected_even, expected_odd], 1))
    assert operator.output_shape((3, height, width)) == tuple(output.shape[1:])


def test_every_second_row_and_column_has_a_gradient() -> None:
    operator, batch = FactorizedReduction(1, 2), images(1, 4, 4).requires_grad_()
    operator.apply([batch], operator.initial_parameters(torch.Generator().manual_seed(1))).sum().backward()
    assert batch.grad is not None
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    assert torch.equal(batch.grad[0, 0] != 0, rows % 2 == columns % 2)


@pytest.mark.parametrize(("out_channels", "halves"), [(2, (1, 1)), (5, (3, 2)), (8, (4, 4))])
def test_the_paths_share_the_output_channels(out_channels: int, halves: tuple[int, int]) -> None:
    operator = FactorizedReduction(3, out_channels)
    parameters = operator.initial_parameters(torch.Generator())
    assert [tuple(weight.shape) for weight in parameters] == list(operator.parameter_shapes().values())
    assert tuple(len(weight) for weight in parameters) == halves
    assert operator.macs((3, 7, 8)) == 3 * out_channels * 4 * 4


def test_initial_weights_have_the_published_variance() -> None:
    weights = torch.cat(FactorizedReduction(64, 256).initial_parameters(torch.Generator().manual_seed(0)))
    assert weights.var().item() == pytest.approx(2 / 64, rel=0.05)


def test_one_channel_cannot_be_shared() -> None:
    with pytest.raises(ConfigurationError, match="out_channels: expected at least 2, one for each path; got 1"):
        FactorizedReduction(4, 1)
