"""Scales on which the predictors learn accuracy and complexity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from archsearch.errors import ConfigurationError

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """A linear scale between a figure and its learned value: `figure = center + spread * learned`.

    Args:
        center: The figure that is learned as 0.
        spread: The difference that is learned as 1; 0 where all figures are the same and nothing can be learned.
    """

    center: float
    spread: float

    @classmethod
    def of(cls, figures: Vector, standardised: bool) -> Scale:
        """Return the scale of figures, NaN where unknown: by mean and deviation if standardised, else by a maximum above 1."""
        known = figures[~np.isnan(figures)]
        if not len(known) or np.ptp(known) == 0:
            return cls(float(known[0]) if len(known) else 0.0, 0.0)
        return cls(float(known.mean()), float(known.std())) if standardised else cls(0.0, max(1.0, float(known.max())))

    def learned(self, figures: Vector) -> Vector:
        """Return figures as they are learned; all NaN if all are equal."""
        return (figures - self.center) / self.spread if self.spread else np.full(len(figures), np.nan)

    def figures(self, learned: Tensor) -> Vector:
        """Return predictions in the unit of the figures."""
        values: Vector = learned.double().cpu().numpy() * self.spread + self.center
        return values


def checked(name: str, values: ArrayLike | None, number: int, highest: float) -> Vector:
    """Return figures of `number` architectures as a vector, NaN where unknown; all NaN where none are given.

    Raises:
        ConfigurationError: There is not one figure for each architecture, or one is below 0, infinite, or above the highest.
    """
    if values is None:
        return np.full(number, np.nan)
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (number,):
        raise ConfigurationError(f"{name}: expected {number} figures, one for each architecture; got {list(vector.shape)}.")
    wrong = np.isinf(vector) | (vector < 0.0) | (vector > highest)
    if wrong.any():
        bounds = f"fractions from 0 to {highest:g}" if np.isfinite(highest) else "finite figures of at least 0"
        at = int(np.flatnonzero(wrong)[0])
        raise ConfigurationError(f"{name}: expected {bounds}, or NaN where unknown; got {vector[at]} at {at}. Scale them first.")
    return vector


def joined(accuracy: Vector, complexity: Vector) -> Tensor:
    """Return accuracy and complexity as one tensor, `[architectures, 2]` float32."""
    return torch.from_numpy(np.stack([accuracy, complexity], axis=1).astype(np.float32))
