from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.ngae.region import Region


@pytest.fixture
def latents() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([3.0, 1.0, 0.2, 0.0])
    return torch.randn(2000, 4, generator=generator) * scales + torch.tensor([1.0, -2.0, 0.0, 5.0])


def test_data_have_mean_0_and_variance_1_in_its_coordinates(latents: torch.Tensor) -> None:
    region = Region.of(latents)
    coordinates = region.coordinates(latents)
    assert coordinates.shape == (2000, 3)  # a direction without variance is none
    assert torch.allclose(coordinates.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(coordinates.T @ coordinates / 1999, torch.eye(3), atol=1e-3)
    assert torch.allclose(region.latents(coordinates), latents, atol=1e-4)


def test_projection_moves_only_what_is_outside(latents: torch.Tensor) -> None:
    region = Region.of(latents)
    coordinates = region.coordinates(latents)
    inside = coordinates.norm(dim=1) <= region.radius
    assert inside.float().mean() == pytest.approx(0.95, abs=0.01)
    projected = region.projected(coordinates)
    assert torch.allclose(projected[inside], coordinates[inside])
    assert torch.allclose(projected[~inside].norm(dim=1), torch.full((int((~inside).sum()),), region.radius), atol=1e-4)


def test_samples_are_spread_like_the_data(latents: torch.Tensor) -> None:
    drawn = Region.of(latents).sample(4000, torch.Generator().manual_seed(1))
    assert torch.allclose(drawn.mean(dim=0), latents.mean(dim=0), atol=0.2)
    assert torch.allclose(drawn.std(dim=0), latents.std(dim=0), atol=0.1)
