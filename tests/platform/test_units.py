from __future__ import annotations

import pytest

from archsearch.platform import units

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (NAN, "-"),
        (0.0, "0"),
        (999.0, "999"),
        (999.6, "1.00 k"),
        (20_150.0, "20.1 k"),
        (99_999.0, "100 k"),
        (123_456.0, "0.12 M"),
        (1.5e6, "1.50 M"),
        (153.27e6, "153 M"),
        (999.7e6, "1.00 G"),
        (2.5e9, "2.50 G"),
    ],
)
def test_quantities_have_three_digits(value: float | None, text: str) -> None:
    assert units.quantity(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 s"),
        (0.3456, "0.346 s"),
        (9.876, "9.88 s"),
        (119.0, "119 s"),
        (150.0, "2.5 min"),
        (9000.0, "2.5 h"),
        (259200.0, "3.0 days"),
    ],
)
def test_durations_have_a_unit_that_suits(seconds: float | None, text: str) -> None:
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "percent", "text"), [(0.98765, True, "98.77"), (1.23456, False, "1.235"), (None, True, "-"), (NAN, False, "-")]
)
def test_scores_are_percent_or_four_digits(value: float | None, percent: bool, text: str) -> None:
    assert units.score(value, percent) == text


def test_losses_have_their_own_sign() -> None:
    assert units.score(-0.25, False, lower_is_better=True) == "0.25"
    assert units.score(None, False, lower_is_better=True) == "-"


@pytest.mark.parametrize(("value", "text"), [(12.5, "12.5/s"), (0.5, "30/min"), (0.005, "18/h"), (0.0001, "0.36/h")])
def test_a_rate_has_the_unit_that_suits_it(value: float, text: str) -> None:
    assert units.rate(value) == text
