"""Rank correlation of a surrogate's predictions with the scores, over the course of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUST = "surrogate/trust_tau"
PART = "surrogate/tau_"
"""Start of the names of the rank correlations of the parts that a ranking is a sum of."""

Course = Sequence[tuple[int, Mapping[str, float]]]
"""Metrics of the searcher, each with the number of candidates evaluated by then."""

_GOOD, _WEAK = 0.4, 0.15
_POOR = "That is no better than chance; with few candidates, this may itself be due to chance."


def trust_curve(course: Course) -> list[tuple[int, float]]:
    """Return numbers of candidates evaluated and Kendall's tau; empty if the searcher has no surrogate."""
    return [(count, figures[TRUST]) for count, figures in course if TRUST in figures]


def trust_sentence(course: Course) -> str:
    """Return the last rank correlation and its meaning as sentences; empty if there is none."""
    curve = trust_curve(course)
    if not curve:
        return ""
    tau = curve[-1][1]
    verdict = "That is a good ranking." if tau >= _GOOD else "That is a little better than chance." if tau >= _WEAK else _POOR
    return (
        "Each prediction was made before its candidate was evaluated. Between the last predictions (at most 50) and the scores, "
        f"Kendall's rank correlation is {tau:.2f}: of two candidates, the surrogate ranked the better one higher in about "
        f"{50 * (1 + tau):.0f} % of cases. {verdict} Candidates that a surrogate selects have similar scores, so they are harder "
        "to rank than random ones." + _parts_sentence(course[-1][1])
    )


def _parts_sentence(figures: Mapping[str, float]) -> str:
    parts = sorted(((tau, name.removeprefix(PART)) for name, tau in figures.items() if name.startswith(PART)), reverse=True)
    if not parts:
        return ""
    return f" Alone, the parts of the ranking have {', '.join(f'{name} {tau:.2f}' for tau, name in parts)}."


def trust_figure(course: Course) -> Figure:
    """Return the rank correlation against candidates evaluated; `trust_curve` must not be empty."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    counts, taus = zip(*trust_curve(course), strict=True)
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0.0, color="#9a9a9a", linewidth=1)
    axes.plot(counts, taus, color="#0072b2", linewidth=1.8, marker="o" if len(counts) == 1 else None)
    axes.set(xlabel="candidates evaluated", ylabel="Kendall's tau", ylim=(min(-0.2, *taus) - 0.05, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Rank correlation of predictions and scores (0: chance, 1: perfect)", fontsize=10.5)
    scales.plain(axes)
    return figure
