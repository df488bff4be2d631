"""How far a search's surrogate could be trusted: its predictions ranked against the outcomes, as the search went on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from archsearch.platform.report import axes as scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRUST = "surrogate/trust_tau"

Course = Sequence[tuple[int, Mapping[str, float]]]
"""Figures of the searcher, each with the number of candidates after which it gave them."""

_GOOD, _WEAK = 0.4, 0.15
_POOR = "It ranked these candidates no better than chance; where they are few, that may itself be chance."


def trust_curve(course: Course) -> list[tuple[int, float]]:
    """Return candidates evaluated and Kendall's tau, where the searcher had a surrogate that was tried."""
    return [(count, figures[TRUST]) for count, figures in course if TRUST in figures]


def trust_sentence(course: Course) -> str:
    """Return what the last rank correlation means; empty where there is none."""
    curve = trust_curve(course)
    if not curve:
        return ""
    tau = curve[-1][1]
    verdict = "It ranked well." if tau >= _GOOD else "It ranked a little better than chance." if tau >= _WEAK else _POOR
    return (
        "No prediction knew its candidate's outcome. Over the last of them, at most 50, Kendall's rank correlation with the "
        f"outcomes was {tau:.2f}: of two candidates it named the better one in about {50 * (1 + tau):.0f} % of cases. "
        f"{verdict} Candidates that a surrogate picks are alike, and harder to rank than random ones."
    )


def trust_figure(course: Course) -> Figure:
    """Return the rank correlation against candidates; `trust_curve` must have a point."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    counts, taus = zip(*trust_curve(course), strict=True)
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0.0, color="#9a9a9a", linewidth=1)
    axes.plot(counts, taus, color="#0072b2", linewidth=1.8, marker="o" if len(counts) == 1 else None)
    axes.set(xlabel="candidates evaluated", ylabel="Kendall's tau", ylim=(min(-0.2, *taus) - 0.05, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("Predictions against outcomes (0 is chance, 1 is a perfect ranking)", fontsize=10.5)
    scales.plain(axes)
    return figure
