"""Reasons for the best score: mean scores by operator and gene, and the candidates that tie with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchSearchError
from archsearch.evaluators.metrics import Interval, mean_interval
from archsearch.platform import units
from archsearch.platform.ranking import RankedRow, ranked_rows
from archsearch.platform.short_form import live_graph
from archsearch.platform.summary import SearchSummary
from archsearch.spaces import Architecture, SearchSpace

_LEAST = 3
"""Candidates that a mean needs, to have an interval worth reading."""
_GENES = 12
_Z = 1.96  # of a 95 % interval


@dataclass(frozen=True)
class Scored:
    """The candidates with a score.

    Args:
        architectures: The architectures, `[candidates]`.
        scores: Their scores, `[candidates]`.
        best: Index of the best.
    """

    architectures: Sequence[Architecture]
    scores: NDArray[np.float64]
    best: int

    @classmethod
    def of(cls, summary: SearchSummary, space: SearchSpace) -> Scored | None:
        """Return those of a search, or None if there are none or the space cannot read them."""
        scores = summary.final_scores
        rows = np.flatnonzero(np.isfinite(scores))
        texts = summary.in_order("architecture")
        try:
            architectures = [space.parse(texts[row]) for row in rows.tolist()]
        except ArchSearchError:
            return None
        return cls(architectures, scores[rows], int(np.argmax(scores[rows]))) if len(rows) else None


def operator_table(scored: Scored, space: SearchSpace, percent: bool) -> list[list[str]]:
    """Return, for each operator, the mean score of the candidates with it and without it: a heading, then rows.

    Operators count where they lie on a path from an input to the output. Operators that fewer than three candidates have, or
    lack, are left out.
    """
    found = [
        {name for graph in space.drawing(each) for name in live_graph(graph).operators if name in space.operators}
        for each in scored.architectures
    ]
    rows: list[tuple[float, list[str]]] = []
    for operator in space.operators:
        has = np.array([operator in names for names in found])
        if min(has.sum(), (~has).sum()) < _LEAST:
            continue
        gain = _difference(scored.scores[has], scored.scores[~has])
        cells = [operator, str(int(has.sum())), _mean(scored.scores[has], percent), _mean(scored.scores[~has], percent)]
        cells += [_signed(gain.value, percent), f"{_signed(gain.low, percent)} to {_signed(gain.high, percent)}"]
        rows.append((-gain.value, [*cells, "yes" if operator in found[scored.best] else "no"]))
    unit = " %" if percent else ""
    heading = ["operator", "candidates", f"mean{unit} with", f"mean{unit} without", "difference", "95 % interval", "in the best"]
    return [heading, *(cells for _, cells in sorted(rows, key=lambda row: row[0]))]


def gene_table(scored: Scored, space: SearchSpace, percent: bool) -> list[list[str]]:
    """Return the mean score by value of each gene: a heading, then rows; the genes that explain most come first.

    At most twelve genes are shown. Values that fewer than three candidates have, and genes with one such value, are left out.
    """
    params = [space.active(each) for each in scored.architectures]
    genes: list[tuple[float, list[list[str]]]] = []
    for gene, alternatives in space.choices.items():
        groups = {value: scored.scores[[gene in each and each[gene] == value for each in params]] for value in alternatives}
        groups = {value: scores for value, scores in groups.items() if len(scores) >= _LEAST}
        if len(groups) < 2:
            continue
        best = params[scored.best].get(gene)
        rows = [
            [
                gene,
                str(value),
                str(len(scores)),
                _mean(scores, percent),
                _bounds(scores, percent),
                "yes" if value == best else "no",
            ]
            for value, scores in sorted(groups.items(), key=lambda group: -float(group[1].mean()))
        ]
        genes.append((_explained(list(groups.values())), rows))
    genes.sort(key=lambda each: -each[0])
    heading = ["gene", "value", "candidates", "mean %" if percent else "mean", "95 % interval", "in the best"]
    return [heading, *(row for _, rows in genes[:_GENES] for row in rows)]


def ties(summary: SearchSummary) -> list[RankedRow]:
    """Return the candidates, best first and without the best, whose accuracy differs from the best's by no more than noise.

    Two accuracies tie if they differ by less than 1.96 standard errors of their difference, as if they had been measured from
    different images. On the same images smaller differences can be real, so this rather calls too many candidates equal.
    Without the number of images there are none.
    """
    rows = ranked_rows(summary.evaluations, len(summary.evaluations))
    if not rows or not summary.score_images or not summary.percent:
        return []
    best = summary.standard_error(rows[0].score)
    same = [row for row in rows[1:] if row.fidelity == rows[0].fidelity]
    return [row for row in same if rows[0].score - row.score <= _Z * math.hypot(best, summary.standard_error(row.score))]


def ties_text(summary: SearchSummary) -> str:
    """Return a sentence on the noise of the best score; an empty string where it is not known."""
    rows, images = ranked_rows(summary.evaluations, 1), summary.score_images
    if not rows or not images or not summary.percent:
        return ""
    error = 100.0 * summary.standard_error(rows[0].score)
    count = len(ties(summary))
    tied = "no other candidate ties" if not count else f"{count} other candidate{' ties' if count == 1 else 's tie'}"
    # Of a mean over classes that differ in size, it is the number of images with the same standard error.
    source = f"{images:,.0f} validation images" if images == int(images) else f"as many images as {images:,.0f} in equal classes"
    return (
        f"Its accuracy comes from {source}; the standard error is {error:.2f} points, and one image is "
        f"{100.0 / images:.2g} points. Within this noise {tied} with the best (95 % level; variation between trainings not "
        "counted)."
    )


def _difference(left: NDArray[np.float64], right: NDArray[np.float64]) -> Interval:
    """Return the difference of two means with its 95 % interval (Welch)."""
    from scipy import stats

    value = float(left.mean() - right.mean())
    parts = [float(each.var(ddof=1)) / len(each) for each in (left, right)]
    error = math.sqrt(sum(parts))
    if error == 0.0:
        return Interval(value, value, value)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, (left, right), strict=True))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return Interval(value, value - reach, value + reach)


def _explained(groups: Sequence[NDArray[np.float64]]) -> float:
    """Return the share of the variance that lies between groups, 0..1."""
    together = np.concatenate(groups)
    total = float(((together - together.mean()) ** 2).sum())
    between = sum(len(each) * float(each.mean() - together.mean()) ** 2 for each in groups)
    return between / total if total else 0.0


def _mean(scores: NDArray[np.float64], percent: bool) -> str:
    return units.score(float(scores.mean()), percent)


def _bounds(scores: NDArray[np.float64], percent: bool) -> str:
    interval = mean_interval(scores)
    return f"{units.score(interval.low, percent)} to {units.score(interval.high, percent)}"


def _signed(value: float, percent: bool) -> str:
    return f"{'+' if value >= 0 else ''}{units.score(value, percent)}"
