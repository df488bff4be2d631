from __future__ import annotations

from types import ModuleType

import pytest
import torch

from archsearch.evaluators.ngae.ascent import REGIONS, ascend
from archsearch.evaluators.ngae.predictors import LatentPredictor
from archsearch.evaluators.ngae.region import Region


class Quadratic:
    """`-|s - center|^2 / 2`, whose gradient is `center - s`."""

    def __init__(self, center: float) -> None:
        self.center = center

    def with_gradient(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -0.5 * (latents - self.center).square().sum(1), self.center - latents


PREDICTORS = Quadratic(1.0), Quadratic(-1.0)
REGION = Region(torch.zeros(2), torch.eye(2), 1.0)
STARTS = torch.zeros((3, 2))


def climbed(**arguments: object) -> torch.Tensor:
    return ascend(*PREDICTORS, REGION, STARTS, **{"weight": 0.0, "steps": 200, "step": 0.1, **arguments}).latents  # type: ignore


def test_it_climbs_to_the_top_unless_the_region_ends_before() -> None:
    assert torch.allclose(climbed(keep="free"), torch.ones(3, 2), atol=1e-4)
    assert torch.allclose(climbed(keep="ball").norm(dim=1), torch.ones(3), atol=1e-4)
    assert torch.allclose(climbed(keep="prior"), torch.full((3, 2), 0.5), atol=0.06), "half-way between the top and the data"
    assert torch.allclose(climbed(keep="free", weight=0.5), torch.full((3, 2), 3.0), atol=1e-3)


@pytest.mark.parametrize("keep", REGIONS)
def test_trajectories_are_those_of_the_first_starts(keep: str) -> None:
    path = ascend(*PREDICTORS, REGION, STARTS, weight=0.0, steps=4, keep=keep, recorded_starts=2)
    assert path.trajectories.shape == (5, 2, 2)
    assert path.objectives.shape == (5, 3)
    assert torch.equal(path.trajectories[-1], path.latents[:2])
    assert (path.objectives.diff(dim=0) > 0).all()


def test_plain_steps_are_those_of_equation_7_for_one_point_at_a_time(one: ModuleType) -> None:
    """`s <- s + eta * d(f_perf(s) - f_comp(s))/ds`, with the gradient of autograd in place of the closed form."""
    generator = torch.Generator().manual_seed(0)
    performance, complexity = (LatentPredictor(4, (5, 3), True, generator).double() for _ in range(2))
    prior = Region.of_prior(torch.zeros(4, dtype=torch.float64))
    starts = prior.sample(3, generator)
    assert torch.allclose(prior.sample(4000, generator).std(dim=0), torch.ones(4, dtype=torch.float64), atol=0.05)
    path = ascend(performance, complexity, prior, starts, weight=1.0, steps=6, step=2.5, keep="plain")
    for row in range(3):
        point = starts[row].clone()
        for number in range(7):
            point.requires_grad_()
            value = one.one_prediction(performance, point) - one.one_prediction(complexity, point)
            assert path.objectives[number, row].item() == pytest.approx(value.item(), rel=1e-10)
            if number < 6:
                (gradient,) = torch.autograd.grad(value, point)
                point = (point + 2.5 * gradient).detach()
        assert torch.allclose(path.latents[row], point.detach(), atol=1e-12)
