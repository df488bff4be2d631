"""Fixed splits: which image belongs to training, validation and test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_split(labels: NDArray[np.integer], fractions: tuple[float, ...], seed: int = 0) -> tuple[NDArray[np.int64], ...]:
    """Return disjoint, sorted index arrays, one a fraction, each with the classes in their overall proportions.

    A class with at least as many images as there are parts has an image in each part.

    Args:
        labels: `[images]`.
        fractions: Shares of the images, summing to 1. The last part takes what rounding leaves.
        seed: Seed of the shuffle within each class.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in fractions]
    bounds = np.cumsum(fractions)[:-1]
    first = np.arange(1, len(fractions))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.floor(bounds * len(members) + 0.5).astype(int)
        if len(members) >= len(fractions):
            cuts = np.clip(cuts, first, len(members) - len(fractions) + first)
        for part, chunk in zip(parts, np.split(members, cuts), strict=True):
            part.extend(chunk.tolist())
    return tuple(np.sort(np.array(part, dtype=np.int64)) for part in parts)
