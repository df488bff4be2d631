"""Sums of ranks of several figures, which need no common unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def rank_sum(figures: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean rank of each candidate, `[candidates]`, from 0 for the worst in all figures to 1 for the best in all.

    s(a) = 1 / |F_a| * sum over f in F_a of (rank_f(a) - 1) / (n_f - 1), with the ascending rank of f among the n_f candidates
    that have it; equal figures share their mean rank. F_a are the figures that are finite for a; a candidate without any is NaN.

    Args:
        figures: One array `[candidates]` for each figure, larger is better, NaN or infinite where a candidate has none.

    Example:
        >>> import numpy as np
        >>> rank_sum([np.array([1.0, 2.0, 4.0]), np.array([30.0, 10.0, np.nan])]).tolist()
        [0.5, 0.25, 1.0]
    """
    ranks = np.full((len(figures), len(figures[0])), np.nan)
    for row, values in zip(ranks, figures, strict=True):
        known = np.isfinite(values)
        row[known] = (stats.rankdata(values[known]) - 1.0) / max(1, int(known.sum()) - 1)
    found = np.isfinite(ranks).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.nansum(ranks, axis=0) / np.where(found, found, np.nan)
    return means
