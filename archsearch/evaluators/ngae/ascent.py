"""Gradient ascent in the latent space."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.region import Region

REGIONS = ("ball", "prior", "free")


class Path(NamedTuple):
    """Where an ascent led.

    Args:
        latents: `[starts, latent]` the last points.
        objectives: `[steps + 1, starts]` what was climbed, at each point on the way.
        trajectories: `[steps + 1, recorded_starts, latent]` the points of the first starts on the way.
    """

    latents: Tensor
    objectives: Tensor
    trajectories: Tensor


@torch.inference_mode()
def ascend(
    model: GraphVAE,
    region: Region,
    starts: Tensor,
    *,
    weight: float,
    steps: int = 100,
    step: float = 0.1,
    keep: str = "ball",
    recorded_starts: int = 0,
) -> Path:
    """Climb `performance - weight * complexity` from many points at once (NGAE, equation 7).

    Steps are taken in the coordinates of the region, where a step is in standard deviations of the data: one size suits every
    space and every scale of the latent space.

    Args:
        model: Gives the figures.
        region: Where the data is.
        starts: `[starts, latent]`.
        weight: Of the complexity.
        steps: How many.
        step: Times the gradient is added.
        keep: How points are kept near the data: `ball` brings back each that leaves the region; `prior` subtracts from the
            objective half the square of the distance, times `step`; `free` lets them go, as the paper does.
        recorded_starts: Number of starts whose trajectory is recorded.
    """
    coordinates = region.coordinates(starts)
    objectives, trajectories = [], []
    for number in range(steps + 1):
        latents = region.latents(coordinates)
        figures, gradient = model.performance.with_gradient(latents)
        if weight:
            complexity, slope = model.complexity.with_gradient(latents)
            figures, gradient = figures - weight * complexity, gradient - weight * slope
        objectives.append(figures)
        trajectories.append(latents[:recorded_starts])
        if number < steps:
            coordinates = coordinates + step * (gradient @ region.axes)
            if keep == "ball":
                coordinates = region.projected(coordinates)
            elif keep == "prior":
                coordinates = coordinates * (1.0 - step / region.radius**2)
    return Path(latents, torch.stack(objectives), torch.stack(trajectories))
