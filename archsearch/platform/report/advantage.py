"""Scores of the candidates that a searcher chose, compared with those of candidates drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from archsearch.evaluators.metrics import Interval
from archsearch.platform import units
from archsearch.platform.ranking import aligned
from archsearch.platform.summary import SearchSummary


def choice_table(summary: SearchSummary) -> list[list[str]]:
    """Return heading and rows: how candidates were chosen, their number, mean score and best score.

    Empty if the search did not compare groups of candidates.
    """
    rows = [
        [name, str(len(scores)), units.score(float(np.mean(scores)), summary.percent), units.score(max(scores), summary.percent)]
        for name, scores in summary.groups.items()
        if scores
    ]
    return [["how chosen", "candidates", f"mean {summary.score_label}", "best"], *rows] if rows else []


def advantage(summary: SearchSummary, level: float = 0.95) -> Interval | None:
    """Return `shift` of the scores of the first group against those of the second; None without two groups.

    Scores are those of single trainings: the interval covers these candidates, not other searches.

    Args:
        summary: The search.
        level: Confidence level, a fraction.
    """
    if len(summary.groups) < 2:
        return None
    chosen, others = list(summary.groups.values())[:2]
    return shift(chosen, others, level)


def shift(chosen: Sequence[float], others: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return by how much some scores are above others, with an interval; None where they are too few: four each for 95 %.

    The value is the median of all differences between a score of one and a score of the other (J. L. Hodges, E. L. Lehmann,
    "Estimates of location based on rank tests", 1963), and the interval is that of the Mann-Whitney test: of n * m differences
    in ascending order, those that stand floor(n m / 2 - z sqrt(n m (n + m + 1) / 12) - 1 / 2) places from the ends. A network
    that learns nothing then counts as a worse one; a difference of means would depend on it more than on all others.
    """
    pairs = len(chosen) * len(others)
    reach = norm.ppf(0.5 + level / 2.0) * math.sqrt(pairs * (len(chosen) + len(others) + 1) / 12.0)
    place = math.floor(pairs / 2.0 - reach - 0.5)
    if place < 0:
        return None
    differences = np.sort(np.subtract.outer(np.asarray(chosen, dtype=np.float64), np.asarray(others)), axis=None)
    return Interval(float(np.median(differences)), float(differences[place]), float(differences[-1 - place]))


def choice_sentence(summary: SearchSummary) -> str:
    """Return `advantage` as a sentence; empty where it is None or not finite."""
    found = advantage(summary)
    if found is None or not math.isfinite(found.low):
        return ""
    chosen, others = list(summary.groups)[:2]
    scale, unit = (100.0, " points") if summary.percent else (1.0, "")
    low, high = (f"{scale * each:+.3g}" for each in (found.low, found.high))
    size, side = f"{scale * abs(found.value):.3g}{unit}", "higher" if found.value >= 0.0 else "lower"
    verdict = "" if found.low > 0.0 or found.high < 0.0 else " The difference may be chance."
    return f"Score, {chosen} against {others}: {size} {side} in the middle of all pairs (95 % interval {low} to {high}).{verdict}"


def effort_sentence(summary: SearchSummary) -> str:
    """Return what the choice took besides trials: seconds of training the model, and of ranking; empty below a second."""
    fitting, ranking = (summary.costs.get(part, 0.0) for part in ("fitting", "ranking"))
    if fitting + ranking < 1.0:
        return ""
    return f"The model learned for {units.duration(fitting)}, and ranked for {units.duration(ranking)}."


def choice_text(summary: SearchSummary) -> str:
    """Return table and sentences as plain text for a terminal; empty without groups."""
    if not (table := choice_table(summary)):
        return ""
    return "\n".join(part for part in (aligned(table), choice_sentence(summary), effort_sentence(summary)) if part)
