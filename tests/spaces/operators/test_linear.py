from __future__ import annotations

import torch
from torch import nn

from archsearch.spaces.operators import Linear


def test_values_and_gradients_are_those_of_torch() -> None:
    operator, module = Linear(6, 4), nn.Linear(6, 4)
    parameters = [parameter.detach().clone().requires_grad_() for parameter in module.parameters()]
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    output, expected = operator.apply([features], parameters), module(features)
    assert torch.equal(output, expected)
    output.square().sum().backward()
    expected.square().sum().backward()
    for ours, theirs in zip(parameters, module.parameters(), strict=True):
        assert ours.grad is not None and theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)


def test_shapes_are_those_of_torch() -> None:
    operator, module = Linear(6, 4), nn.Linear(6, 4)
    assert operator.parameter_shapes() == {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}
    assert operator.output_shape((6,)) == (4,)


def test_macs_count_each_product_and_each_bias() -> None:
    products = sum(1 for _ in range(4) for _ in range(6))
    assert Linear(6, 4).macs((6,)) == products + 4
    assert Linear(6, 4, replicas=3).macs((18,)) == 3 * (products + 4)


def test_a_bias_that_is_added_by_itself_does_not_count() -> None:
    counted, added = Linear(6, 4), Linear(6, 4, count_bias=False)
    assert added.macs((6,)) == 6 * 4
    assert added.parameter_shapes() == counted.parameter_shapes()
    parameters = counted.initial_parameters(torch.Generator().manual_seed(0))
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(added.apply([features], parameters), counted.apply([features], parameters))


def test_initial_weights_lie_within_the_bound_of_torch() -> None:
    weight, bias = Linear(16, 200).initial_parameters(torch.Generator().manual_seed(0))
    for tensor in (weight, bias):
        assert tensor.abs().max().item() <= 0.25
        assert tensor.abs().max().item() > 0.24
        assert tensor.min().item() < 0 < tensor.max().item()


def test_replicas_do_not_mix() -> None:
    generator = torch.Generator().manual_seed(0)
    single, triple = Linear(6, 4), Linear(6, 4, replicas=3)
    features = [torch.randn(5, 6, generator=generator) for _ in range(3)]
    drawn = [single.initial_parameters(generator) for _ in range(3)]
    stacked = [torch.cat(tensors) for tensors in zip(*drawn, strict=True)]
    assert [tuple(tensor.shape) for tensor in stacked] == list(triple.parameter_shapes().values())
    output = triple.apply([torch.cat(features, 1)], stacked)
    expected = torch.cat([single.apply([x], parameters) for x, parameters in zip(features, drawn, strict=True)], 1)
    torch.testing.assert_close(output, expected)
    assert triple.output_shape((18,)) == tuple(output.shape[1:])
