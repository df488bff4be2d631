"""Human-readable numbers: counts, durations and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from archsearch.evaluators.score_names import MEASURES


def quantity(value: float | None) -> str:
    """Return a count, such as parameters or MACs, with three digits and k, M or G; `-` if it is not known."""
    if value is None or not math.isfinite(value):
        return "-"
    # From 0.9995 on, three digits would round to 1000, so that the next unit is taken.
    for scale, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= 0.9995 * scale or (unit == " M" and abs(value) >= 1e5):
            return f"{_three_digits(value / scale)}{unit}"
    return f"{value:.0f}"


def _three_digits(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """Return a time such as `0.35 s`, `4.2 min`, `1.5 h` or `3.1 days`; `-` if it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if abs(seconds) >= 10 else f"{seconds:.3g} s"


def rate(value: float) -> str:
    """Return candidates per second in the unit that suits them: `12.5/s`, `6.4/min` or `3/h`."""
    for scale, unit in ((1.0, "s"), (60.0, "min")):
        if value * scale >= 1.0:
            return f"{value * scale:.3g}/{unit}"
    return f"{value * 3600.0:.3g}/h"


def score(value: float | None, percent: bool, lower_is_better: bool = False) -> str:
    """Return a score: an accuracy in percent with two decimals, another score with four digits; `-` if it is not known.

    Args:
        value: The score.
        percent: Whether it is an accuracy.
        lower_is_better: Whether it is the negative of a loss; the loss is shown.
    """
    if value is None or not math.isfinite(value):
        return "-"
    value = -value if lower_is_better else value
    return f"{100 * value:.2f}" if percent else f"{value:.4g}"


class Quality(NamedTuple):
    """A figure of quality of a trained model, as text for output.

    Args:
        words: Its name.
        value: Its value, in percent for fractions.
        percent: Whether it is in percent.
    """

    words: str
    value: str
    percent: bool

    def __str__(self) -> str:
        return f"{self.words} {self.text}"

    @property
    def text(self) -> str:
        """The value with its unit."""
        return f"{self.value} %" if self.percent else self.value

    @property
    def heading(self) -> str:
        """The name with the unit, for the column of a table."""
        return f"{self.words} (%)" if self.percent else self.words


def qualities(metrics: Mapping[str, float]) -> list[Quality]:
    """Return the figures of quality among the metrics of a trained model, those of test images first."""
    parts = {"test": "test", "valid": "validation"}
    return [
        Quality(measure.words.format(words), score(metrics[f"{part}_{name}"], measure.percent), measure.percent)
        for part, words in parts.items()
        for name, measure in MEASURES.items()
        if f"{part}_{name}" in metrics
    ]
