"""Gradient ascent in the latent space, kept within the region of the data.

J. Li et al., "Neural Architecture Optimization with Graph VAE", arXiv 2006.10310, equation 7. From a point s the ascent climbs

    J(s) = f_p(s) - weight * f_c(s),    s <- s + step * dJ/ds    (7)

with the predictors f_p of performance and f_c of complexity. Here the step is taken in the coordinates of the region of the data:
with its axes A, `s = center + A t` and `t <- t + step * A^T dJ/ds`. With the region of the prior N(0, I), whose axes are those of
the latent space, these are the steps as published.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from archsearch.evaluators.ngae.region import Region

REGIONS = ("ball", "prior", "free", "plain")


class Slope(Protocol):
    """A predictor on the latent space that knows its gradient."""

    def with_gradient(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions `[batch]` and their gradients `[batch, latent]` at latent points `[batch, latent]`."""


class Path(NamedTuple):
    """The outcome of an ascent.

    Args:
        latents: `[starts, latent]` last points.
        objectives: `[steps + 1, starts]` objective J at each point of each trajectory.
        trajectories: `[steps + 1, recorded_starts, latent]` trajectories of the first starts.
    """

    latents: Tensor
    objectives: Tensor
    trajectories: Tensor


@torch.inference_mode()
def ascend(
    performance: Slope,
    complexity: Slope,
    region: Region,
    starts: Tensor,
    *,
    weight: float,
    steps: int = 100,
    step: float = 0.1,
    keep: str = "ball",
    recorded_starts: int = 0,
) -> Path:
    """Climb `performance - weight * complexity` from many points at once (7).

    Steps are taken in the coordinates of the region, whose unit is a standard deviation of the data: one step size suits every
    space and every scale of the latent space.

    Args:
        performance: Predictor f_p.
        complexity: Predictor f_c; not evaluated with a weight of 0.
        region: Region of the data.
        starts: `[starts, latent]`.
        weight: Weight of the complexity.
        steps: Number of steps.
        step: Step size, the factor of the gradient.
        keep: Rule that keeps points near the data: `ball` brings back each that leaves the region; `prior` subtracts from the
            objective half the square of the distance, times `step`; `free` and `plain` let them go.
        recorded_starts: Number of starts whose trajectory is recorded.
    """
    coordinates = region.coordinates(starts)
    objectives, trajectories = [], []
    for number in range(steps + 1):
        latents = region.latents(coordinates)
        figures, gradient = performance.with_gradient(latents)
        if weight:
            costs, slope = complexity.with_gradient(latents)
            figures, gradient = figures - weight * costs, gradient - weight * slope
        objectives.append(figures)
        trajectories.append(latents[:recorded_starts])
        if number < steps:
            coordinates = coordinates + step * (gradient @ region.axes)
            if keep == "ball":
                coordinates = region.projected(coordinates)
            elif keep == "prior":
                coordinates = coordinates * (1.0 - step / region.radius**2)
    return Path(latents, torch.stack(objectives), torch.stack(trajectories))
