from __future__ import annotations

import torch
from torch import nn

from archsearch.spaces.operators import ReLU


def test_values_and_gradients_are_those_of_torch() -> None:
    ours = torch.linspace(-2, 2, 30).reshape(1, 2, 3, 5).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    output, expected = ReLU().apply([ours]), nn.ReLU()(theirs)
    assert torch.equal(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_shape_and_cost() -> None:
    assert ReLU().output_shape((2, 3, 5)) == (2, 3, 5)
    assert ReLU().macs((2, 3, 5)) == 0
