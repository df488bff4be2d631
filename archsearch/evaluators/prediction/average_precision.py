"""Average precision: how far up a ranking the images stand that have a label."""

from __future__ import annotations

import torch
from torch import Tensor


def average_precision(scores: Tensor, truth: Tensor) -> Tensor:
    """Return the average precision of each label, `[labels]` float64; NaN for a label that no image has.

    With the images in the order of falling scores, `AP = sum over thresholds of (R_n - R_(n-1)) P_n`, where precision P_n and
    recall R_n are those of the images with at least the n-th distinct score, so that the order of equal scores does not count.
    It is the `average_precision_score` of scikit-learn.

    Args:
        scores: `[images, labels]`.
        truth: `[images, labels]`, 1 where an image has a label, else 0.
    """
    images = len(scores)
    ranked, order = scores.sort(dim=0, descending=True)
    hits = truth.double().gather(0, order)
    places = torch.arange(1, images + 1, device=scores.device)[:, None]
    # The last place of each group of equal scores, whose precision counts for the whole group.
    ends = torch.ones_like(ranked, dtype=torch.bool)
    ends[:-1] = ranked[1:] != ranked[:-1]
    last = torch.where(ends, places, images).flip(0).cummin(0).values.flip(0) - 1
    precision = (hits.cumsum(0) / places).gather(0, last)
    return (hits * precision).sum(0) / hits.sum(0)
