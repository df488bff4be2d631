from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archsearch.spaces.operators import BatchNorm


def maps(seed: int = 0) -> Tensor:
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 3 + 1


def start(operator: BatchNorm) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    parameters = operator.initial_parameters(torch.Generator())
    return tuple(tensor.requires_grad_() for tensor in parameters), operator.initial_buffers()


@pytest.mark.parametrize("affine", [True, False])
def test_training_and_evaluation_are_those_of_torch(affine: bool) -> None:
    operator, module = BatchNorm(3, affine), nn.BatchNorm2d(3, affine=affine)
    parameters, buffers = start(operator)
    for seed in range(3):
        output = operator.apply([maps(seed)], parameters, buffers, training=True)
        assert torch.equal(output, module(maps(seed)))
    assert torch.equal(buffers[0], module.running_mean)
    assert torch.equal(buffers[1], module.running_var)
    assert torch.equal(operator.apply([maps(9)], parameters, buffers, training=False), module.eval()(maps(9)))


def test_gradients_are_those_of_torch() -> None:
    operator, module = BatchNorm(3), nn.BatchNorm2d(3)
    parameters, buffers = start(operator)
    ours, theirs = maps().requires_grad_(), maps().requires_grad_()
    operator.apply([ours], parameters, buffers).pow(3).sum().backward()
    module(theirs).pow(3).sum().backward()
    for left, right in zip((ours, *parameters), (theirs, *module.parameters()), strict=True):
        assert left.grad is not None and right.grad is not None
        assert torch.equal(left.grad, right.grad)


@pytest.mark.parametrize("training", [True, False])
def test_without_buffers_the_batch_gives_the_statistics(training: bool) -> None:
    output = BatchNorm(3, affine=False).apply([maps()], training=training)
    flat = maps().transpose(0, 1).flatten(1)
    expected = (maps() - flat.mean(1)[:, None, None]) / (flat.var(1, correction=0)[:, None, None] + 1e-5).sqrt()
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("affine", [True, False])
def test_shapes_are_those_of_torch(affine: bool) -> None:
    operator, module = BatchNorm(3, affine), nn.BatchNorm2d(3, affine=affine)
    assert operator.parameter_shapes() == {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}
    buffers = {name: tuple(tensor.shape) for name, tensor in module.named_buffers() if tensor.ndim}
    assert operator.buffer_shapes() == buffers
    assert operator.output_shape((3, 5, 4)) == (3, 5, 4)
    assert operator.macs((3, 5, 4)) == 0


def test_replicas_stand_side_by_side() -> None:
    double = BatchNorm(3, replicas=2)
    parameters, buffers = start(double)
    output = double.apply([torch.cat([maps(1), maps(2)], 1)], parameters, buffers)
    single = BatchNorm(3)
    expected = [single.apply([maps(seed)], *start(single)) for seed in (1, 2)]
    torch.testing.assert_close(output, torch.cat(expected, 1))
