"""Figures of one search, and of several searches in comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.pareto import pareto_front
from archsearch.platform.report import axes as scales
from archsearch.platform.summary import SearchSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for colour-blind readers; each colour also has its own line style.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (2, 1)))
_LINE, _BEST, _DOT = "#0072b2", "#d55e00", "#9a9a9a"
_RASTER_FROM = 500

Scores = NDArray[np.float64]


def best_so_far(series: Mapping[str, Sequence[Scores]], x_label: str, y_label: str, percent: bool) -> Figure:
    """Return the best-so-far curves of several methods: mean over seeds, and a band from the lowest to the highest seed.

    Args:
        series: For each method one array `[candidates]` per seed: scores in order of proposal, NaN where an evaluation failed.
            A method's curve begins where every seed has a score, and ends where its shortest seed ends.
        x_label: Label of the x axis, such as `candidates evaluated`.
        y_label: Name of the score.
        percent: Whether the score is a fraction, to be shown in percent.

    Raises:
        ConfigurationError: There is no method, or a method has no seed.
    """
    from matplotlib.figure import Figure

    if not series or not all(len(seeds) for seeds in series.values()):
        raise ConfigurationError("series: expected at least one method with at least one seed each; got none.")
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    length, floor = 1, np.inf
    for index, (name, seeds) in enumerate(series.items()):
        curves = _curves(seeds) * (100 if percent else 1)
        length = max(length, curves.shape[1])
        _draw_method(axes, name, curves, index)
        # The first few candidates of each method score low and would flatten the rest.
        settled = curves[:, int(np.sqrt(curves.shape[1])) :]
        floor = min(floor, np.min(settled, where=np.isfinite(settled), initial=np.inf))
    scales.counts(axes, length)
    if length >= scales.LOG_FROM and np.isfinite(floor):
        highest = axes.dataLim.y1
        axes.set_ylim(floor - 0.06 * (highest - floor or 1), highest + 0.06 * (highest - floor or 1))
    axes.set(xlabel=x_label, ylabel=f"best {y_label}" + (" (%)" if percent else ""))
    several = any(len(seeds) > 1 for seeds in series.values())
    axes.set_title("Best so far" + (" (line: mean of seeds, band: lowest to highest seed)" if several else ""), fontsize=10.5)
    scales.plain(axes)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9.5)
    return figure


def _curves(seeds: Sequence[Scores]) -> Scores:
    """Return best-so-far curves `[seeds, candidates]`, cut to the shortest seed."""
    length = min(len(scores) for scores in seeds)
    stacked = np.array([np.asarray(scores, dtype=float)[:length] for scores in seeds]).reshape(len(seeds), length)
    return running_best(stacked)


def running_best(scores: Scores) -> Scores:
    """Return the best score so far along the last axis; NaN before the first score."""
    best: Scores = np.fmax.accumulate(np.where(np.isfinite(scores), scores, np.nan), axis=-1)
    return best


def _draw_method(axes: Axes, name: str, curves: Scores, index: int) -> None:
    # From the eighth method on a colour comes again, with another style.
    colour, style = _COLOURS[index % len(_COLOURS)], _STYLES[(index + index // len(_COLOURS)) % len(_STYLES)]
    known = np.flatnonzero(np.isfinite(curves).all(axis=0))
    label = f"{name} ({len(curves)} seed{'s' if len(curves) > 1 else ''})"
    if not len(known):
        axes.plot([], [], color=colour, linestyle=style, label=f"{label}: no score")
        return
    x, shown = known + 1, curves[:, known]
    if len(curves) > 1:
        low, high = shown.min(axis=0), shown.max(axis=0)
        axes.fill_between(x, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
    marker = "o" if len(x) == 1 else None
    mean = shown.mean(axis=0)
    axes.plot(x, mean, color=colour, linestyle=style, linewidth=1.8, drawstyle="steps-post", marker=marker, label=label)


def best_so_far_of(summary: SearchSummary) -> Figure:
    """Return the best-so-far curve of one search against candidates, and against seconds of evaluation if any were paid."""
    from matplotlib.figure import Figure

    panels = 2 if summary.paid.any() else 1
    figure = Figure(figsize=(6.4, 3.2 * panels + 0.4 * (panels == 1)), layout="constrained")
    upper, *lower = figure.subplots(panels, 1, squeeze=False)[:, 0]
    scores = summary.final_scores * (100 if summary.percent else 1)
    count = np.arange(1, len(scores) + 1, dtype=float)
    _draw_course(upper, count, scores, summary)
    scales.counts(upper, max(1, len(scores)))
    upper.set(xlabel="candidates evaluated")
    for axes in lower:
        seconds, unit = scales.time_axis(np.cumsum(summary.paid))
        _draw_course(axes, seconds, scores, summary)
        axes.set(xlabel=f"time spent on evaluations ({unit})", xlim=(0, 1.02 * float(seconds.max())))
    _head(figure, upper, f"Best so far: {summary.searcher} on {summary.space}, {summary.task}")
    return figure


def _draw_course(axes: Axes, x: Scores, scores: Scores, summary: SearchSummary) -> None:
    scales.plain(axes)
    axes.set_ylabel(summary.score_label)
    known = np.isfinite(scores)
    if not known.any():
        scales.say(axes, "no candidate has a score")
        return
    best = running_best(scores)
    raster = len(x) > _RASTER_FROM
    label = _dots_label(scales.focus(axes, scores[known], best[known][0]))
    axes.plot(x[known], scores[known], ".", color=_DOT, markersize=_dot(x), alpha=0.6, label=label, rasterized=raster, zorder=1)
    marker = "o" if known.sum() == 1 else None
    axes.plot(x, best, color=_LINE, linewidth=1.8, drawstyle="steps-post", marker=marker, label="best so far", zorder=2)
    where = int(np.nanargmax(scores))
    label = f"best: {scores[where]:.2f} %" if summary.percent else f"best: {scores[where]:.4g}"
    axes.plot(x[where], scores[where], "*", color=_BEST, markersize=12, markeredgecolor="white", label=label, zorder=3)


def trade_off(summary: SearchSummary) -> Figure:
    """Return the score against MACs, with the Pareto front as a step line and the best candidate marked.

    Raises:
        ConfigurationError: No scored candidate has MACs; see `has_trade_off`.
    """
    from matplotlib.figure import Figure

    if not has_trade_off(summary):
        raise ConfigurationError("summary: expected a scored candidate with the metric 'macs'; got none.")
    macs, scores = summary.column("macs"), summary.final_scores * (100 if summary.percent else 1)
    known = np.isfinite(scores) & (macs > 0)
    macs, scores = macs[known], scores[known]
    front = np.asarray(pareto_front(macs, scores))
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    raster = len(macs) > _RASTER_FROM
    label = _dots_label(scales.focus(axes, scores, float(scores[front].min())))
    axes.plot(macs, scores, ".", color=_DOT, markersize=_dot(macs), alpha=0.6, label=label, rasterized=raster, zorder=1)
    reach = np.append(macs[front], macs.max())
    height = np.append(scores[front], scores[front][-1])
    axes.plot(reach, height, color=_LINE, linewidth=1.6, drawstyle="steps-post", zorder=2)
    label = f"Pareto front ({len(front)})"
    axes.plot(macs[front], scores[front], "o", color=_LINE, markersize=5, label=label, zorder=3)
    best = front[-1]
    unit = " %" if summary.percent else ""
    label = f"best: {scores[best]:.4g}{unit} at {scales.macs_text(macs[best])}"
    axes.plot(macs[best], scores[best], "*", color=_BEST, markersize=14, markeredgecolor="white", label=label, zorder=4)
    scales.log_macs(axes, float(macs.min()), float(macs.max()))
    axes.set(xlabel="MACs of one input", ylabel=summary.score_label)
    scales.plain(axes)
    _head(figure, axes, f"Score against cost: {summary.searcher} on {summary.space}, {summary.task}")
    return figure


def _head(figure: Figure, axes: Axes, title: str) -> None:
    """Put the title above the plot and the legend of `axes` below it, where it covers no data."""
    figure.suptitle(title, fontsize=11)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)


def _dot(values: Scores) -> float:
    """Return the marker size: larger for few points."""
    return 8.0 if len(values) <= 50 else 4.0


def _dots_label(below: int) -> str:
    return f"candidates ({below} below the axis)" if below else "candidates"


def has_trade_off(summary: SearchSummary) -> bool:
    """Return whether a scored candidate has MACs, as `trade_off` needs."""
    return bool((np.isfinite(summary.final_scores) & (summary.column("macs") > 0)).any())
