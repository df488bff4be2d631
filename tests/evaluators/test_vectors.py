"""Checked vectors of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.vectors import finite_pair, finite_vector, learnable_scores


def test_numbers_of_any_kind_become_float64() -> None:
    for values in ([1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.int8)):
        vector = finite_vector("values", values)
        assert vector.dtype == np.float64
        assert vector.tolist() == [1.0, 2.0]
    assert finite_vector("values", []).shape == (0,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("text", "values: expected numbers; got str"),
        ([[1.0]], r"values: expected one row of numbers; got shape \[1, 1\]"),
        (3.0, r"got shape \[\]"),
        ([1.0, float("nan"), float("inf")], "values: expected finite numbers; got nan at position 1"),
        ([float("-inf")], "got -inf at position 0. Leave out what failed"),
    ],
)
def test_anything_else_is_refused(values: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        finite_vector("values", values)  # type: ignore[arg-type]


def test_pairs_have_one_length() -> None:
    assert [part.tolist() for part in finite_pair("a", [1], "b", [2])] == [[1.0], [2.0]]
    with pytest.raises(ConfigurationError, match="a and b: expected equally many; got 1 and 2"):
        finite_pair("a", [1], "b", [1, 2])
    with pytest.raises(ConfigurationError, match="b: expected finite numbers"):
        finite_pair("a", [1], "b", [float("nan")])


def test_an_order_needs_two_different_scores() -> None:
    assert learnable_scores([0.1, 0.1, 0.2], 3).tolist() == [0.1, 0.1, 0.2]
    with pytest.raises(ConfigurationError, match="scores: expected 2, one for each architecture; got 3"):
        learnable_scores([0.1, 0.1, 0.2], 2)
    with pytest.raises(ConfigurationError, match="at least two different ones, .* got 2 of one value"):
        learnable_scores([0.5, 0.5], 2)
