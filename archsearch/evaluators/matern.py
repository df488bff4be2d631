"""Gaussian processes with a Matérn kernel and white noise."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

Vector = NDArray[np.float64]
Bounds = tuple[float, float]
_WIDE: Bounds = (1e-5, 1e5)


def matern_kernel(length: float, *, variance: Bounds = _WIDE, lengths: Bounds = _WIDE, noise: Bounds) -> Kernel:
    """Return the kernel `k(x, x') = s^2 m(|x - x'| / l) + n^2 [x = x']` with a Matérn function of smoothness 5/2.

    `m(d) = (1 + sqrt(5) d + 5/3 d^2) exp(-sqrt(5) d)`. The search for the parameters starts from `s^2 = 1` and `n^2 = 0.1`.

    Args:
        length: Length scale `l` from which the search starts.
        variance: Bounds of `s^2`.
        lengths: Bounds of `l`.
        noise: Bounds of `n^2`.
    """
    return ConstantKernel(1.0, variance) * Matern(length, lengths, nu=2.5) + WhiteKernel(0.1, noise)


def most_likely(
    kernel: Kernel, points: Vector, targets: Vector, *, seed: int, restarts: int = 0, normalised: bool = False
) -> GaussianProcessRegressor:
    """Return a process whose kernel has the parameters under which the targets are most likely, conditioned on them.

    Args:
        kernel: Kernel with the parameters to start from, and their bounds.
        points: `[rows, dimensions]`.
        targets: `[rows]`.
        seed: Seed of the restarts.
        restarts: Further searches, from random parameters.
        normalised: Whether the targets are scaled to mean 0 and variance 1 first; predictions are scaled back.
    """
    process = GaussianProcessRegressor(kernel, n_restarts_optimizer=restarts, normalize_y=normalised, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at its bound is as good as any other
        return process.fit(points, targets)
