"""Layers of several members against each member alone and against plain indexing."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from archsearch.evaluators.predictors.stacked import FlatParameters, Linear, chosen, dropout_masks, marked, times

Generators = Callable[..., list[torch.Generator]]


def test_linear_members_are_separate_linear_layers(generators: Generators) -> None:
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


def test_rows_outside_the_table_are_zero() -> None:
    assert chosen(torch.ones(1, 2, 3), torch.tensor([[2, 0, 7]])).sum(2).tolist() == [[0.0, 3.0, 0.0]]


def test_marks_name_places() -> None:
    assert marked(torch.tensor([[1, 0], [2, 9]]), 2, torch.float64).tolist() == [[[0, 1], [1, 0]], [[0, 0], [0, 0]]]


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.75])
def test_dropout_keeps_the_mean_and_has_a_generator_for_each_member(rate: float, generators: Generators) -> None:
    shapes = [(100, 99), (101, 100), (3,)]
    masks = dropout_masks(shapes, rate, generators(5, 6))
    assert [tuple(mask.shape) for mask in masks] == [(2, *shape) for shape in shapes]
    for mask in masks[:2]:
        assert mask.unique().tolist() == pytest.approx([0.0, 1.0 / (1.0 - rate)])
        assert abs(float((mask == 0).double().mean()) - rate) < 0.015, "5 standard deviations of 20,000 are 0.015 at most"
        assert not torch.equal(mask[0], mask[1])
    assert not torch.equal(masks[0].flatten(1)[:, :9900], masks[1].flatten(1)[:, :9900])
    alone = dropout_masks(shapes, rate, generators(6))
    assert all(torch.equal(mask[0], both[1]) for mask, both in zip(alone, masks, strict=True))


def test_neighbours_are_dropped_independently(generators: Generators) -> None:
    """One draw of a generator gives four values."""
    [mask] = dropout_masks([(20_000, 4)], 0.5, generators())
    kept = (mask[0] > 0).double()
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 5 / 20_000**0.5


def test_steps_on_flat_parameters_are_those_on_separate_ones() -> None:
    separate = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))
    model = copy.deepcopy(separate)
    flat = FlatParameters(model)
    assert flat.flat.shape == (3 * 5 + 5 + 5 + 1,)
    values = torch.randn((8, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(values), separate(values))
    optimizers = [torch.optim.Adam([flat.flat], lr=0.1), torch.optim.Adam(separate.parameters(), lr=0.1)]
    for _ in range(3):
        flat.derive(model(values).square().sum())
        optimizers[1].zero_grad()
        separate(values).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    for own, other in zip(model.parameters(), separate.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-6)
