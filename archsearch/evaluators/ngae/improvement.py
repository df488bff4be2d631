"""Bayesian optimisation in the latent space: what D-VAE does where NGAE climbs."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Vector = NDArray[np.float64]


def expected_improvement(latents: Vector, values: Vector, points: Vector, seed: int) -> Vector:
    """Return the expected improvement on the best value at latent points, `[points]`.

    M. Zhang et al., "D-VAE: A Variational Autoencoder for Directed Acyclic Graphs", NeurIPS 2019, section 4.2; the process
    has all evaluated points where theirs, with thousands of them, is sparse.

    Args:
        latents: `[evaluated, latent]` encodings of what was evaluated.
        values: `[evaluated]` scores, larger is better.
        points: `[points, latent]`.
        seed: Of the fit's restarts.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scale = np.maximum(latents.std(axis=0), 1e-6 * max(1e-9, latents.std()))
    kernel = ConstantKernel(1.0) * Matern(length_scale=latents.shape[1] ** 0.5, nu=2.5) + WhiteKernel(0.1, (1e-4, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a bound that is reached is no reason to stop
        process.fit(latents / scale, values)
    mean, deviation = process.predict(points / scale, return_std=True)
    gain = mean - values.max()
    scaled = gain / np.maximum(deviation, 1e-12)
    improvement: Vector = gain * stats.norm.cdf(scaled) + deviation * stats.norm.pdf(scaled)
    return improvement
