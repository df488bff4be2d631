from __future__ import annotations

import torch

from archsearch.spaces.operators import Truncate


def test_the_first_channels_stay() -> None:
    images = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    output = Truncate(2).apply([images])
    for channel in range(2):
        assert torch.equal(output[:, channel], images[:, channel])
    assert Truncate(2).output_shape((5, 3, 4)) == tuple(output.shape[1:])
    output.sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad.amax((0, 2, 3)), torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))


def test_it_costs_nothing() -> None:
    assert Truncate(2).macs((5, 3, 4)) == 0
    assert Truncate(2).parameter_shapes() == {}
