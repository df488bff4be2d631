"""Axes of figures: ticks at round numbers and units that suit the values."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from archsearch.platform.report import axes as scales


@pytest.mark.parametrize(
    ("seconds", "last", "unit"),
    [
        ([1.0, 119.0], 119.0, "seconds"),
        ([120.0], 2.0, "minutes"),
        ([7200.0], 2.0, "hours"),
        ([864000.0], 10.0, "days"),
        ([], 0.0, "seconds"),
    ],
)
def test_times_have_the_unit_of_the_longest(seconds: list[float], last: float, unit: str) -> None:
    times, found = scales.time_axis(np.array(seconds))
    assert found == unit
    assert times.max(initial=0.0) == last


@pytest.mark.parametrize(("value", "text"), [(5e5, "0.5 M"), (12_345.0, "12.3 k"), (2e9, "2 G"), (10.0, "10")])
def test_macs_have_no_trailing_zeros(value: float, text: str) -> None:
    assert scales.macs_text(value) == text


@pytest.mark.parametrize(("last", "scale"), [(1, "linear"), (29, "linear"), (30, "log"), (5000, "log")])
def test_candidates_are_counted_in_integers(last: int, scale: str) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    scales.counts(axes, last)
    figure.draw_without_rendering()
    assert axes.get_xscale() == scale
    labels = [text.get_text().replace(",", "") for text in axes.get_xticklabels()]
    assert labels and all(label.isdigit() for label in labels)


def test_a_few_low_scores_are_below_the_axis() -> None:
    axes = Figure().add_subplot()
    below = scales.focus(axes, np.array([0.0, *np.linspace(0.8, 0.9, 39)]), start=0.8)
    assert below == 1
    assert axes.get_ylim()[0] > 0.7
