"""Expected improvement of a Gaussian process in the latent space (D-VAE), the alternative to gradient ascent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Vector = NDArray[np.float64]


def expected_improvement(latents: Vector, values: Vector, points: Vector, seed: int) -> Vector:
    """Return the expected improvement on the best value at latent points, `[points]`.

    M. Zhang et al., "D-VAE: A Variational Autoencoder for Directed Acyclic Graphs", NeurIPS 2019, section 4.2:

        EI(z) = E[max(f(z) - f*, 0)] = (m(z) - f*) Phi(u) + s(z) phi(u),   u = (m(z) - f*) / s(z)

    where `m` and `s` are mean and standard deviation of the process, `f*` the best value, and `Phi` and `phi` distribution and
    density of the standard normal. The process has all evaluated points, where that of D-VAE, with thousands, is sparse.

    Args:
        latents: `[evaluated, latent]` encodings of the evaluated architectures.
        values: `[evaluated]` scores, larger is better.
        points: `[points, latent]`.
        seed: Seed of the fit.
    """
    from archsearch.evaluators.matern import matern_kernel, most_likely  # scikit-learn takes a second to import

    scale = np.maximum(latents.std(axis=0), 1e-6 * max(1e-9, latents.std()))
    kernel = matern_kernel(latents.shape[1] ** 0.5, noise=(1e-4, 1.0))
    process = most_likely(kernel, latents / scale, values, seed=seed, normalised=True)
    mean, deviation = process.predict(points / scale, return_std=True)
    gain = mean - values.max()
    scaled = gain / np.maximum(deviation, 1e-12)
    improvement: Vector = gain * stats.norm.cdf(scaled) + deviation * stats.norm.pdf(scaled)
    return improvement
