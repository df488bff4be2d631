"""Learning curves of all candidates of a search with a scheduler, those that were stopped early in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from archsearch.cluster.schedulers.replay import Curve
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.report import axes as scales
from archsearch.platform.summary import SearchSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STOPPED, _COMPLETE, _BEST = "#b5b5b5", "#0072b2", "#d55e00"
_RASTER_FROM = 200
_LOG_FROM = 30


def learning_curve_figure(summary: SearchSummary, early: EarlyStopping) -> Figure:
    """Return the score against the fidelity of each candidate; those that were stopped early are grey and end in a dot.

    Args:
        summary: The search.
        early: What its scheduler did, with at least one curve.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    curves = list(early.curves.values())
    stopped = [curve for curve in curves if not curve.complete]
    complete = [curve for curve in curves if curve.complete]
    factor, raster = (100.0 if summary.percent else 1.0), len(curves) > _RASTER_FROM
    _draw(axes, stopped, factor, _STOPPED, f"stopped early ({len(stopped)})", raster, end=True)
    _draw(axes, complete, factor, _COMPLETE, f"complete ({len(complete)})", raster)
    best = _best(curves)
    axes.plot(best.steps, [factor * score for score in best.scores], color=_BEST, linewidth=2.2, label="the best", zorder=4)
    if early.max_fidelity >= _LOG_FROM and min(curve.steps[0] for curve in curves) * 4 <= early.max_fidelity:
        scales.counts(axes, early.max_fidelity)
    else:
        axes.set_xlim(0, early.max_fidelity * 1.02)
    axes.set(xlabel=early.fidelity_name, ylabel=summary.score_label)
    # The first steps of poor candidates would flatten the rest.
    known = [factor * score for curve in curves for score in curve.scores]
    scales.focus(axes, np.asarray(known), factor * best.scores[-1])
    scales.plain(axes)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    return figure


def _best(curves: Sequence[Curve]) -> Curve:
    """Return the curve that came farthest, and of those the one with the highest last score."""
    return max(curves, key=lambda curve: (curve.steps[-1], curve.scores[-1]))


def _draw(
    axes: Axes,
    curves: Sequence[Curve],
    factor: float,
    colour: str,
    label: str,
    raster: bool,
    *,
    end: bool = False,
) -> None:
    for number, curve in enumerate(curves):
        scores = [factor * score for score in curve.scores]
        name = label if number == 0 else None
        axes.plot(curve.steps, scores, color=colour, linewidth=0.9, alpha=0.7, label=name, rasterized=raster)
        if end:
            axes.plot(curve.steps[-1:], scores[-1:], "o", color=colour, markersize=2.5, rasterized=raster)
