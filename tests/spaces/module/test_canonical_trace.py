from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archsearch.spaces.module.building import Built
from archsearch.spaces.module.canonical_trace import canonical_layers, canonical_trace
from archsearch.spaces.module.tracing import on_meta, trace


def form(module: nn.Module) -> bytes:
    return canonical_trace(trace(Built(module.to("meta"), (), ()), on_meta(torch.zeros(2, 4))))


class Function(nn.Module):
    """A function of the input and of some linear layers."""

    def __init__(self, compute, layers: int = 3) -> None:
        super().__init__()
        self.compute, self.layers = compute, nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x, *self.layers)


EQUAL = [
    (lambda x, a, b, c: a(x) + b(x), lambda x, a, b, c: b(x) + a(x)),
    (lambda x, a, b, c: (a(x) + x) + b(b(x)), lambda x, a, b, c: a(a(x)) + (x + c(x))),
    (lambda x, a, b, c: sum([a(x), x]), lambda x, a, b, c: x + a(x) + 0),
    (lambda x, a, b, c: a(x) * torch.sigmoid(x), lambda x, a, b, c: torch.sigmoid(x) * b(x)),
    (lambda x, a, b, c: a(x) + x * 0, lambda x, a, b, c: a(x) * 1),
    (lambda x, a, b, c: (b(x), a(x))[1], lambda x, a, b, c: c(x).contiguous()),  # the first of two is not used
    (lambda x, a, b, c: torch.cat([a(x)], 1), lambda x, a, b, c: a(x)),
    (
        lambda x, a, b, c: a(torch.relu(x)) + b(torch.relu(x)),
        lambda x, a, b, c: sum(f(y) for y in [torch.relu(x)] for f in (b, a)),
    ),
]
UNLIKE = [
    (lambda x, a, b, c: a(x) + b(x), lambda x, a, b, c: a(x) + a(x)),  # one layer twice, and two layers
    (lambda x, a, b, c: a(b(x)), lambda x, a, b, c: a(a(x))),
    (lambda x, a, b, c: torch.cat([a(x), x], 1), lambda x, a, b, c: torch.cat([x, a(x)], 1)),
    (lambda x, a, b, c: a(x) - x, lambda x, a, b, c: x - a(x)),
    (lambda x, a, b, c: x + x + a(x), lambda x, a, b, c: x + a(x)),
    (lambda x, a, b, c: a(x) + 0.5, lambda x, a, b, c: a(x)),
    (lambda x, a, b, c: torch.relu(a(x)), lambda x, a, b, c: torch.tanh(a(x))),
    (lambda x, a, b, c: F.dropout(x) + F.dropout(x) + a(x), lambda x, a, b, c: (lambda y: y + y + a(x))(F.dropout(x))),
    (lambda x, a, b, c: b(a(x)) + c(a(x)), lambda x, a, b, c: b(a(x)) + b(a(x))),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_functions_have_one_form(left, right) -> None:
    assert form(Function(left)) == form(Function(right))


@pytest.mark.parametrize(("left", "right"), UNLIKE)
def test_other_functions_have_other_forms(left, right) -> None:
    assert form(Function(left)) != form(Function(right))


def test_identities_vanish_and_settings_count() -> None:
    linear = nn.Linear(4, 4)
    assert form(nn.Sequential(nn.Identity(), linear, nn.Dropout(0.0))) == form(nn.Sequential(nn.Linear(4, 4)))
    assert form(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))) != form(nn.Sequential(nn.Linear(4, 4)))
    assert form(nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))) == form(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    assert form(nn.Linear(4, 4, bias=False)) != form(nn.Linear(4, 4))
    assert form(nn.ELU(0.5)) != form(nn.ELU(1.0))


def test_rings_that_colours_cannot_tell_apart_have_different_forms() -> None:
    """Eight nodes in one ring, and in two rings of four: each node has equal neighbours."""

    def ring(pairs):
        def compute(x: Tensor, *layers: nn.Module) -> Tensor:
            values = [layer(x) for layer in layers]
            return sum(torch.maximum(values[i], values[j]) for i, j in pairs)

        return form(Function(compute, 8))

    one = [(i, (i + 1) % 8) for i in range(8)]
    two = [(i + k, (i + 1) % 4 + k) for k in (0, 4) for i in range(4)]
    assert ring(one) != ring(two)
    assert ring(one) == ring([(j, i) for i, j in one])


def test_modules_of_equal_forms_compute_the_same_with_each_others_weights() -> None:
    """Layers that stand for each other are those at one place in `canonical_layers`."""
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    for left, right in EQUAL:
        modules = [Function(compute) for compute in (left, right)]
        paths = [canonical_layers(trace(Built(Function(each).to("meta"), (), ()), on_meta(inputs))) for each in (left, right)]
        assert len(paths[0]) == len(paths[1])
        for one, other in zip(*paths, strict=True):
            modules[1].get_submodule(other).load_state_dict(modules[0].get_submodule(one).state_dict())
        torch.testing.assert_close(modules[0](inputs), modules[1](inputs))
