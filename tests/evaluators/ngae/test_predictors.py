from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.ngae.predictors import LatentPredictor


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("widths", [(), (5,), (5, 4, 3)])
def test_gradient_equals_that_of_autograd(widths: tuple[int, ...], sigmoid: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    predictor = LatentPredictor(6, widths, sigmoid, generator).double()
    latents = torch.randn(9, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    figures = predictor(latents)
    (expected,) = torch.autograd.grad(figures.sum(), latents)
    values, gradient = predictor.with_gradient(latents.detach())
    assert torch.allclose(values, figures)
    assert torch.allclose(gradient, expected, atol=1e-14)
    assert not sigmoid or ((figures > 0) & (figures < 1)).all()
