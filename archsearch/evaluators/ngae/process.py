"""A Gaussian process on the latent space: the predictor of performance where few architectures are evaluated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from archsearch.evaluators.ngae.region import Region

_LENGTH = 10.0  # from which the search for the parameters starts
_LENGTHS, _VARIANCES, _NOISES = (0.1, 1000.0), (0.05, 50.0), (1e-3, 3.0)
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class LatentProcess:
    """Predicts performance at latent points by a Gaussian process, with the gradient in closed form.

    J. Li et al., arXiv 2006.10310, section 3.2, name Gaussian process regression among the possible predictors. The kernel is a
    Matérn kernel of smoothness 5/2 on the coordinates t of the region of the data, with the evaluated architectures T and their
    performances y:

        k(t, t') = v m(|t - t'| / l),   m(d) = (1 + sqrt(5) d + 5/3 d^2) exp(-sqrt(5) d),   K = k(T, T) + n I
        mean(t) = k(t, T) K^-1 y,       deviation(t)^2 = v - k(t, T) K^-1 k(T, t)
        f_p(t) = mean(t) + optimism * deviation(t)

    Args:
        region: Region of the data.
        known: `[rows, directions]` coordinates T, in double precision.
        targets: `[rows]` performances y as they are learned.
        variance: v.
        length: l.
        noise: n.
        optimism: Number of standard deviations that a prediction lies above the mean (N. Srinivas et al., ICML 2010, arXiv
            0912.3995).
    """

    region: Region
    known: Tensor
    targets: Tensor
    variance: float
    length: float
    noise: float
    optimism: float

    @classmethod
    def of(cls, region: Region, latents: Tensor, targets: Tensor, *, optimism: float, seed: int) -> LatentProcess:
        """Return the process with the parameters v, l and n under which the targets are most likely.

        Args:
            region: Region of the data.
            latents: `[rows, latent]`.
            targets: `[rows]`, about standardised.
            optimism: Number of standard deviations that a prediction lies above the mean.
            seed: Seed of the search for the parameters.
        """
        from archsearch.evaluators.matern import matern_kernel, most_likely  # scikit-learn takes a second to import

        kernel = matern_kernel(_LENGTH, variance=_VARIANCES, lengths=_LENGTHS, noise=_NOISES)
        targets = targets.double()
        process = cls(region, _double(region).coordinates(latents.double()), targets, 1.0, _LENGTH, 0.1, optimism)
        found = most_likely(kernel, process.known.cpu().numpy(), targets.cpu().numpy(), seed=seed)
        variance, length, noise = torch.from_numpy(found.kernel_.theta).exp().tolist()
        return replace(process, variance=variance, length=length, noise=noise)

    def __call__(self, latents: Tensor) -> Tensor:
        """Return predictions `[batch]` at latent points `[batch, latent]`."""
        shared, _ = self._kernel(_double(self.region).coordinates(latents.double()))
        return self._bound(shared)[0].to(latents.dtype)

    @torch.inference_mode()
    def with_gradient(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions `[batch]` and their gradients `[batch, latent]`.

        With the slopes `dk/dt = a (t - t')`, `a = -5/3 v / l^2 (1 + sqrt(5) d) exp(-sqrt(5) d)`, and the row
        `w = (K^-1 y - optimism * K^-1 k / deviation) * a`, the gradient is `sum(w) t - w T`.
        """
        region = _double(self.region)
        coordinates = region.coordinates(latents.double())
        shared, slopes = self._kernel(coordinates)
        figures, deviations, solved = self._bound(shared)
        factors = slopes * (self._weights - self.optimism * solved / deviations[:, None])
        gradient = factors.sum(dim=1, keepdim=True) * coordinates - factors @ self.known
        back = region.axes / (region.axes**2).sum(dim=0)
        return figures.to(latents.dtype), (gradient @ back.T).to(latents.dtype)

    def state(self) -> dict[str, Any]:
        """Return what makes the process besides the region, as tensors and numbers."""
        return {name: value for name, value in vars(self).items() if name in _SAVED}

    def _kernel(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Return `k(t, T)` and the slopes a, `[batch, rows]` each."""
        scaled = 5**0.5 * torch.cdist(coordinates, self.known) / self.length
        decay = self.variance * torch.exp(-scaled)
        return (1.0 + scaled + scaled**2 / 3.0) * decay, -5.0 / (3.0 * self.length**2) * (1.0 + scaled) * decay

    def _bound(self, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return predictions and deviations `[batch]`, and `K^-1 k` `[batch, rows]`, given `k(t, T)`."""
        solved = torch.cholesky_solve(shared.T, self._factor).T
        deviations = (self.variance - (shared * solved).sum(dim=1)).clamp(min=_LEAST_VARIANCE).sqrt()
        return shared @ self._weights + self.optimism * deviations, deviations, solved

    @cached_property
    def _factor(self) -> Tensor:
        """Cholesky factor of K."""
        noise = self.noise * torch.eye(len(self.known), dtype=self.known.dtype, device=self.known.device)
        factor: Tensor = torch.linalg.cholesky(self._kernel(self.known)[0] + noise)
        return factor

    @cached_property
    def _weights(self) -> Tensor:
        """`K^-1 y`, `[rows]`."""
        weights: Tensor = torch.cholesky_solve(self.targets[:, None], self._factor)[:, 0]
        return weights


_SAVED = ("known", "targets", "variance", "length", "noise", "optimism")


def _double(region: Region) -> Region:
    return replace(region, center=region.center.double(), axes=region.axes.double())
