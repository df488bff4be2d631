"""Operators mixed by weights that gradients change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.supernet import differentiable
from archsearch.evaluators.supernet.differentiable import DifferentiableSupernet
from archsearch.evaluators.supernet.shared_weights import SharedWeights
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY: dict[str, Any] = {"scale": {"channels": 2, "cells_per_stage": 1}, "batch_size": 8, "warmup": 0.0}


def made(order: int = 1, **changes: Any) -> DifferentiableSupernet:
    return DifferentiableSupernet(SPACE, "digits", order=order, **{**TINY, **changes})


def test_the_second_order_gradient_is_that_of_the_unrolled_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # In double precision, with a step that crosses no kink of a rectifier; the published one, .01, is far from exact here.
    monkeypatch.setattr(differentiable, "_EPSILON", 1e-5)
    supernet, rate = made(2), 0.05
    weights, mixed = SharedWeights(0, torch.device("cpu")), supernet.mixed([0] * 6)
    keys = weights.grow(mixed.reads)
    weights.values = {key: value.double() for key, value in weights.values.items()}
    for alpha in supernet.alpha:
        alpha.data = alpha.data.double()
    one, other = supernet.halves()
    generator = torch.Generator().manual_seed(0)
    batches = [supernet.batch(part, generator) for part in (one, other)]
    train, choice = (Resident(batch.images.double(), batch.labels) for batch in batches)
    found, loss = supernet._alpha_gradients(weights, keys, mixed, train, choice, rate, supernet.alpha)

    leaves = {key: weights.values[key].detach().requires_grad_() for key in keys}
    soft = [torch.softmax(each, 0) for each in supernet.alpha]
    inner = supernet._loss(mixed, leaves, soft, train)
    slopes = torch.autograd.grad(inner, [leaves[key] for key in keys], create_graph=True)
    moved = {key: leaves[key] - rate * slope for key, slope in zip(keys, slopes, strict=True)}
    outer = supernet._loss(mixed, moved, soft, choice)
    expected = torch.cat(torch.autograd.grad(outer, supernet.alpha))
    assert loss == pytest.approx(float(outer.detach()))
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-2, atol=1e-3 * float(expected.norm()))


def test_an_interrupted_fit_continues_from_its_checkpoint(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    first = made()
    take = first._step

    def step(weights: SharedWeights, number: int, steps: int) -> float:
        if number == 2:
            raise Interrupted
        return take(weights, number, steps)

    first._step = step  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        first.fit(4, checkpoint=tmp_path / "darts.pt")
    second, whole = made().fit(4, checkpoint=tmp_path / "darts.pt"), made().fit(4)
    assert second.settings() == whole.settings()
    assert second.history == whole.history
    assert [each.tolist() for each in second.alpha] == [each.tolist() for each in whole.alpha]
    with pytest.raises(ConfigurationError, match="method"):
        made(2).load(whole.state())


def test_weights_of_operators_leave_the_uniform_and_stay_a_distribution() -> None:
    supernet = made(alpha_learning_rate=0.1).fit(3)
    probabilities = torch.stack(supernet.probabilities())
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6))
    assert float((probabilities - 0.2).abs().max()) > 0.01
    assert [step for step, _ in supernet.history] == [1, 2, 3]


def test_nothing_is_chosen_before_the_warmup_ends() -> None:
    supernet = made(warmup=1.0).fit(2)
    assert all(bool((each == 0.2).all()) for each in supernet.probabilities())


def test_the_wiring_has_weights_too() -> None:
    space = Cells(3)
    settings = {**TINY, "scale": {"blocks": 3, "channels": 2}, "alpha_learning_rate": 0.1}
    supernet = DifferentiableSupernet(space, "digits", **settings).fit(4)
    for gene in supernet.places.wiring:
        assert float(supernet.alpha[gene].detach().abs().max()) > 0.0


def test_weights_of_operators_that_are_not_finite_are_an_error() -> None:
    supernet = made()
    supernet.alpha[0].data.fill_(float("nan"))
    with pytest.raises(ConfigurationError, match="alpha_learning_rate: expected one with which.*after step 1.*Lower it"):
        supernet.fit(1)


def test_too_few_images_for_two_halves_are_an_error() -> None:
    with pytest.raises(DatasetError, match="expected at least 4000 training images, a batch of 2000 for the weights.*batch_size"):
        made(batch_size=2000).fit(1)


@pytest.mark.parametrize(("option", "value"), [("order", 3), ("alpha_learning_rate", -1.0), ("warmup", 2.0)])
def test_bad_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        made(**{option: value})
