"""Confidence thresholds at which images leave a network with several exits, so that a batch keeps a mean budget.

G. Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, section 3: budgeted batch
classification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError

Vector = NDArray[np.float64]

_HALVINGS = 200
_STEEPEST = 700.0  # its exp is finite


def exit_shares(costs: Sequence[float], budget: float) -> Vector:
    """Return the fraction of images that leave at each exit, `[exits]`, so that the mean cost of an image is the budget.

    The fractions are those of the paper: `q_k = r^k / (r^1 + ... + r^n)`, with the one r for which
    `q_1 c_1 + ... + q_n c_n = budget`, where c_k is the cost of exit k. A small budget gives r near 0, a large one r above 1.

    Args:
        costs: `[exits]`, spent when each exit answers, never falling.
        budget: Mean cost of an image, from the first of `costs`. Beyond the last one all images go to the last exit.

    Raises:
        ConfigurationError: The budget is below the first exit's cost.
    """
    spent = np.asarray(costs, dtype=np.float64)
    if not budget >= spent[0]:
        raise ConfigurationError(f"budget: expected at least {spent[0]:g}, the cost of the first exit; got {budget!r}.")
    if budget >= spent[-1]:
        return np.array([0.0] * (len(spent) - 1) + [1.0])
    low, high = -_STEEPEST, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _shares(middle, len(spent)) @ spent <= budget else (low, middle)
    return _shares(low, len(spent))


def exit_thresholds(confidences: ArrayLike, costs: Sequence[float], budget: float) -> tuple[float, ...]:
    """Return the confidence at or above which an image leaves, for each exit but the last.

    At each exit the most confident images leave, as many as `exit_shares` says. On the given images the mean cost does not exceed
    the budget; on others it does only as far as they are harder.

    Args:
        confidences: `[exits, images]`, of images that the network was not trained on, such as the largest softmax.
        costs: `[exits]`, as for `exit_shares`.
        budget: Mean cost of an image.

    Returns:
        `[exits - 1]` thresholds; infinity for an exit where no image leaves.

    Raises:
        ConfigurationError: There is no image, the numbers of exits differ, or the budget is below the first exit's cost.
    """
    sure = np.asarray(confidences, dtype=np.float64)
    if sure.ndim != 2 or len(sure) != len(costs) or not sure.size:
        raise ConfigurationError(f"confidences: expected [exits, images] for {len(costs)} exits; got {list(sure.shape)}.")
    images = sure.shape[1]
    # The least number of images to have left at each exit; with more, the mean cost is lower.
    wanted = np.ceil(np.cumsum(exit_shares(costs, budget))[:-1] * images - 1e-9).astype(int)
    staying, thresholds = np.ones(images, dtype=bool), []
    for confidence, total in zip(sure, wanted.tolist(), strict=False):
        leaving = total - int((~staying).sum())
        threshold = float(np.sort(confidence[staying])[-leaving]) if leaving > 0 else math.inf
        staying &= confidence < threshold
        thresholds.append(threshold)
    return tuple(thresholds)


def _shares(exponent: float, exits: int) -> Vector:
    """Return shares proportional to `exp(exponent * k)`."""
    powers = exponent * np.arange(exits)
    weights = np.exp(powers - powers.max())
    shares: Vector = weights / weights.sum()
    return shares
