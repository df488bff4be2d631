"""Which values are numbers, and how others are shown; `test_evaluation.py` has the long list."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from archsearch.evaluators.plain_number import plain_number, shown


class Rude:
    """Raises at every use."""

    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("given", "expected"), [(0.5, 0.5), (2, 2.0), (Decimal("1e3"), 1000.0), (np.float32(0.5), 0.5), (np.array([[2]]), 2.0)]
)
def test_numbers(given: Any, expected: float) -> None:
    assert plain_number(given) == expected
    assert type(plain_number(given)) is float


@pytest.mark.parametrize(
    "given", [None, "1", True, np.bool_(False), 1j, [1.0], np.array([1, 2]), np.array(True), Rude()], ids=range(9)
)
def test_what_is_no_number(given: Any) -> None:
    assert plain_number(given) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "None"),
        (-1.0, "-1.0"),
        ("high", "'high', of the type str"),
        (np.array([1, 2]), "array([1, 2]), of the type ndarray"),
        ("long " * 100, "'long long lo...ng long long ', of the type str"),
    ],
    ids=range(5),
)
def test_values_are_shown_on_one_line(given: Any, expected: str) -> None:
    assert shown(given) == expected
    assert shown(Rude()).startswith("<Rude instance at ")
