from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.ngae.ascent import REGIONS, ascend
from archsearch.evaluators.ngae.region import Region


class Quadratic:
    """`-|s - center|^2 / 2`, whose gradient is `center - s`."""

    def __init__(self, center: float) -> None:
        self.center = center

    def with_gradient(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -0.5 * (latents - self.center).square().sum(1), self.center - latents


class Model:
    performance, complexity = Quadratic(1.0), Quadratic(-1.0)


REGION = Region(torch.zeros(2), torch.eye(2), 1.0)
STARTS = torch.zeros((3, 2))


def climbed(**arguments: object) -> torch.Tensor:
    return ascend(Model(), REGION, STARTS, **{"weight": 0.0, "steps": 200, "step": 0.1, **arguments}).latents  # type: ignore


def test_it_climbs_to_the_top_unless_the_region_ends_before() -> None:
    assert torch.allclose(climbed(keep="free"), torch.ones(3, 2), atol=1e-4)
    assert torch.allclose(climbed(keep="ball").norm(dim=1), torch.ones(3), atol=1e-4)
    assert torch.allclose(climbed(keep="prior"), torch.full((3, 2), 0.5), atol=0.06), "half-way between the top and the data"
    assert torch.allclose(climbed(keep="free", weight=0.5), torch.full((3, 2), 3.0), atol=1e-3)


@pytest.mark.parametrize("keep", REGIONS)
def test_trajectories_are_those_of_the_first_starts(keep: str) -> None:
    path = ascend(Model(), REGION, STARTS, weight=0.0, steps=4, keep=keep, recorded_starts=2)  # type: ignore[arg-type]
    assert path.trajectories.shape == (5, 2, 2)
    assert path.objectives.shape == (5, 3)
    assert torch.equal(path.trajectories[-1], path.latents[:2])
    assert (path.objectives.diff(dim=0) > 0).all()
