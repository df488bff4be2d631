"""Layers of several members against each member alone and against plain indexing."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.stacked import Linear, chosen, dropped, times

Generators = Callable[..., list[torch.Generator]]


def test_linear_members_are_linear_layers_of_their_own(generators: Generators) -> None:
    both = Linear(5, 3, generators(4, 9))
    values = torch.randn((2, 7, 5), generator=generators(1)[0])
    for member, seed in enumerate((4, 9)):
        alone = Linear(5, 3, generators(seed))
        assert torch.equal(alone.weight[0], both.weight[member])
        assert torch.equal(alone.bias[0], both.bias[member])
        expected = nn.functional.linear(values[member], both.weight[member].T, both.bias[member, 0])
        assert torch.allclose(both(values)[member], expected, atol=1e-6)


def test_linear_is_drawn_as_in_torch(generators: Generators) -> None:
    layer = Linear(16, 500, generators(0))
    for parameter in layer.parameters():
        assert 0.9 * 0.25 < parameter.abs().max() <= 0.25, "uniform up to 1 / sqrt(16)"
        assert abs(parameter.detach().mean()) < 0.02
    assert math.isclose(float(layer.weight.detach().var()), 0.25**2 / 3, rel_tol=0.05)


def test_times_multiplies_member_by_member(generators: Generators) -> None:
    values = torch.randn((2, 3, 4, 5), generator=generators(0)[0])
    weight = torch.randn((2, 5, 6), generator=generators(1)[0])
    assert torch.allclose(times(values, weight), torch.einsum("mabi,mio->mabo", values, weight), atol=1e-5)


def test_chosen_is_indexing(generators: Generators) -> None:
    table = torch.randn((2, 4, 3), generator=generators(0)[0], requires_grad=True)
    shared = torch.tensor([[[0, 3], [1, 1], [2, 0]]], dtype=torch.uint8)
    for index in (shared, torch.cat([shared, shared.flip(1)])):
        expected = torch.stack([table[member][index[member % len(index)].long()] for member in range(2)])
        assert torch.equal(chosen(table, index), expected)
        gradient, same = (torch.autograd.grad(found.square().sum(), table)[0] for found in (chosen(table, index), expected))
        assert torch.allclose(gradient, same, atol=1e-6)


def test_what_is_not_in_the_table_is_zero() -> None:
    assert chosen(torch.ones(1, 2, 3), torch.tensor([[2, 0, 7]])).sum(2).tolist() == [[0.0, 3.0, 0.0]]


def test_dropped_keeps_the_mean_and_has_a_generator_for_each_member(generators: Generators) -> None:
    values = torch.ones(2, 100, 100)
    kept = dropped(values, 0.2, generators(5, 6))
    assert set(kept.unique().tolist()) == {0.0, 1.25}
    assert abs(float(kept.mean()) - 1.0) < 0.02
    assert torch.equal(dropped(values[:1], 0.2, generators(6))[0], kept[1])
    assert not torch.equal(kept[0], kept[1])
    assert torch.equal(dropped(values, 0.0, generators(5, 6)), values)


def test_gradient_is_that_of_the_mask(generators: Generators) -> None:
    values: Tensor = torch.ones(1, 4, 4, requires_grad=True)
    kept = dropped(values, 0.5, generators(0))
    assert torch.equal(torch.autograd.grad(kept.sum(), values)[0], kept.detach())
