"""Checked conversion of arguments to vectors of finite numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError


def finite_vector(argument: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as float64 `[n]`.

    Raises:
        ConfigurationError: They are not a vector of numbers, or one is NaN or infinite.
    """
    try:
        vector = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{argument}: expected numbers; got {type(values).__name__} ({error}).") from error
    if vector.ndim != 1:
        raise ConfigurationError(f"{argument}: expected one row of numbers; got shape {list(vector.shape)}.")
    unusable = np.flatnonzero(~np.isfinite(vector))
    if len(unusable):
        raise ConfigurationError(
            f"{argument}: expected finite numbers; got {vector[unusable[0]]} at position {unusable[0]}. "
            "Leave out what failed to evaluate."
        )
    return vector


def finite_pair(
    first_argument: str, first: ArrayLike, second_argument: str, second: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two vectors of the same length as float64, `[n]` each.

    Raises:
        ConfigurationError: One is not a vector of finite numbers, or their lengths differ.
    """
    pair = finite_vector(first_argument, first), finite_vector(second_argument, second)
    if len(pair[0]) != len(pair[1]):
        raise ConfigurationError(
            f"{first_argument} and {second_argument}: expected equally many; got {len(pair[0])} and {len(pair[1])}."
        )
    return pair


def learnable_scores(scores: ArrayLike, number: int) -> NDArray[np.float64]:
    """Return the scores of `number` architectures as a vector from which an order can be learned, `[number]`.

    Raises:
        ConfigurationError: There are fewer than two different scores, one is NaN or infinite, or their number is not `number`.
    """
    vector = finite_vector("scores", scores)
    if len(vector) != number:
        raise ConfigurationError(f"scores: expected {number}, one for each architecture; got {len(vector)}.")
    if len(np.unique(vector)) < 2:
        raise ConfigurationError(
            f"scores: expected at least two different ones, so that there is an order to learn; got {len(vector)} of one value. "
            "Evaluate more architectures first."
        )
    return vector
