"""The region of the latent space that holds the data: an ellipsoid from its mean and covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_QUANTILE = 0.95
_SMALLEST = 1e-3  # of the largest deviation: directions in which the data hardly varies allow no steps


@dataclass(frozen=True)
class Region:
    """An ellipsoid around encoded architectures: a ball in coordinates in which they have mean 0 and variance 1.

    Args:
        center: `[latent]` their mean.
        axes: `[latent, directions]`: a step of 1 in the coordinates is a step of a standard deviation along each axis.
        radius: Mahalanobis distance within which most of them lie.
    """

    center: Tensor
    axes: Tensor
    radius: float

    @classmethod
    def of(cls, latents: Tensor) -> Region:
        """Return the region of encoded architectures `[architectures, latent]`."""
        center = latents.mean(dim=0)
        _, deviations, directions = torch.linalg.svd(latents - center, full_matrices=False)
        deviations = deviations / max(1, len(latents) - 1) ** 0.5
        used = deviations > _SMALLEST * deviations[0].clamp(min=torch.finfo(latents.dtype).tiny)
        axes = directions[used].T * deviations[used]
        region = cls(center, axes, 1.0)
        return cls(center, axes, float(torch.quantile(region.coordinates(latents).norm(dim=1), _QUANTILE)))

    @classmethod
    def of_prior(cls, like: Tensor) -> Region:
        """Return the region of the prior N(0, I), all of the latent space in its own coordinates, given any point `[latent]`."""
        return cls(torch.zeros_like(like), torch.eye(len(like), dtype=like.dtype, device=like.device), math.inf)

    def coordinates(self, latents: Tensor) -> Tensor:
        """Return latent points `[batch, latent]` in the coordinates of the region, `[batch, directions]`."""
        return (latents - self.center) @ (self.axes / (self.axes**2).sum(dim=0))

    def latents(self, coordinates: Tensor) -> Tensor:
        """Return points `[batch, directions]` of the region in the latent space."""
        return self.center + coordinates @ self.axes.T

    def projected(self, coordinates: Tensor) -> Tensor:
        """Return the nearest points inside."""
        norms = coordinates.norm(dim=1, keepdim=True)
        inside: Tensor = coordinates * (self.radius / norms.clamp(min=self.radius))
        return inside

    def sample(self, number: int, generator: torch.Generator) -> Tensor:
        """Return latent points `[number, latent]` from the normal distribution with the mean and variance of the data."""
        size = (number, self.axes.shape[1])
        return self.latents(torch.randn(size, generator=generator, device=self.axes.device, dtype=self.axes.dtype))
