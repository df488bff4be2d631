from __future__ import annotations

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor

from archsearch.evaluators.matern import matern_kernel
from archsearch.evaluators.ngae.process import LatentProcess
from archsearch.evaluators.ngae.region import Region


@pytest.fixture(scope="module")
def process() -> LatentProcess:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(60, 5, generator=generator) * torch.tensor([3.0, 1.0, 0.5, 0.2, 0.1]) + 1.0
    region = Region.of(latents)
    targets = torch.sin(region.coordinates(latents)).sum(dim=1)
    return LatentProcess.of(region, latents[:40], targets[:40], optimism=1.5, seed=0)


def test_it_predicts_as_the_process_of_scikit_learn(process: LatentProcess) -> None:
    kernel = matern_kernel(1.0, noise=(1e-5, 1e5))
    theta = torch.tensor([process.variance, process.length, process.noise]).double().log().numpy()
    slow = GaussianProcessRegressor(kernel.clone_with_theta(theta), optimizer=None)
    slow.fit(process.known.numpy(), process.targets.numpy())
    points = process.region.sample(20, torch.Generator().manual_seed(1)).double()
    region = Region(process.region.center.double(), process.region.axes.double(), process.region.radius)
    mean, deviation = slow.predict(region.coordinates(points).numpy(), return_std=True)
    latent_noise = (deviation**2 - process.noise).clip(0.0) ** 0.5  # theirs is that of a noisy observation
    assert process(points).numpy() == pytest.approx(mean + 1.5 * latent_noise, abs=1e-5)


def test_the_gradient_is_that_of_autograd(process: LatentProcess) -> None:
    points = process.region.sample(9, torch.Generator().manual_seed(2)).double().requires_grad_()
    figures = process(points)
    (expected,) = torch.autograd.grad(figures.sum(), points)
    values, gradient = process.with_gradient(points.detach())
    assert torch.allclose(values, figures)
    assert torch.allclose(gradient, expected, atol=1e-9)


def test_it_has_learned_what_it_is_given(process: LatentProcess) -> None:
    region = process.region
    points = region.latents(process.known.float())
    certain = LatentProcess(region, **{**process.state(), "optimism": 0.0})
    assert torch.corrcoef(torch.stack([certain(points).double(), process.targets]))[0, 1] > 0.9
    far = region.latents(100.0 * process.known.float())
    assert certain(far).abs().max() < 0.1, "far from the data it falls back to the mean"
    assert torch.allclose(process(far), torch.full((len(far),), 1.5 * process.variance**0.5), rtol=0.05)
