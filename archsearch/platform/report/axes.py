"""Axes of figures: ticks at round numbers, human-readable units, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archsearch.platform import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_FROM = 30

Values = NDArray[np.float64]


def plain(axes: Axes) -> None:
    """Remove the upper and right border, and add a light grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def say(axes: Axes, text: str) -> None:
    """Write a sentence into axes without data."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=11, color="#555555")
    axes.set(xticks=[], yticks=[])


def counts(axes: Axes, last: int) -> None:
    """Scale the x axis for integers from 1 to `last`, logarithmically from 30 on."""
    from matplotlib.ticker import MaxNLocator

    if last < LOG_FROM:
        axes.set_xlim(0.5, last + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return
    axes.set_xscale("log")
    axes.set_xlim(0.95, last * 1.05)
    _fixed_ticks(axes, _ticks(1.0, float(last)), lambda value: f"{value:,.0f}")


def log_macs(axes: Axes, low: float, high: float) -> None:
    """Scale the x axis logarithmically from `low` to `high` MACs, with ticks such as `0.5 M`."""
    axes.set_xscale("log")
    margin = max(1.02, (high / low) ** 0.04)
    axes.set_xlim(low / margin, high * margin)
    ticks = _ticks(low / margin, high * margin)
    million = high >= 1e5 and low >= 1e4
    _fixed_ticks(axes, ticks, lambda value: f"{value / 1e6:g} M" if million and high < 1e9 else macs_text(value))


def macs_text(value: float) -> str:
    """Return MACs such as `0.5 M`, without trailing zeros."""
    number, space, unit = units.quantity(value).partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + space + unit


def time_axis(seconds: Values) -> tuple[Values, str]:
    """Convert times to the unit that suits the longest one; return them and the name of the unit."""
    longest = seconds.max(initial=0.0)
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if longest >= 2 * size:
            return seconds / size, unit
    return seconds, "seconds"


def focus(axes: Axes, scores: Values, start: float) -> int:
    """Limit the y axis to the scores above the 0.1 quantile and to `start`; return the number of scores below the axis.

    Without the limit, a few poor candidates would flatten the curve.
    """
    low, high = min(float(np.quantile(scores, 0.1)), start), float(scores.max())
    margin = 0.06 * (high - low) or 0.02 * abs(high) or 1.0
    axes.set_ylim(low - margin, high + margin)
    return int((scores < low - margin).sum())


def _fixed_ticks(axes: Axes, ticks: list[float], text: Callable[[float], str]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, at least four on a logarithmic axis if possible, else evenly spaced ones."""
    from matplotlib.ticker import MaxNLocator

    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 4:
            return inside
    return [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
