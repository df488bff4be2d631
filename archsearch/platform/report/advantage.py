"""Scores of the candidates that a searcher chose, compared with those of candidates drawn at random."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import ttest_ind

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
    """Return the mean score of the first group minus that of the second, with the interval of Welch's t-test.

    None unless there are two groups of at least two scores. Scores are those of single trainings: the interval covers the means
    of these candidates, not other searches.

    Args:
        summary: The search.
        level: Confidence level, a fraction.
    """
    if len(summary.groups) < 2:
        return None
    chosen, others = list(summary.groups.values())[:2]
    if min(len(chosen), len(others)) < 2:
        return None
    value = float(np.mean(chosen) - np.mean(others))
    if np.ptp(chosen) == 0.0 and np.ptp(others) == 0.0:
        return Interval(value, value, value)
    found = ttest_ind(chosen, others, equal_var=False).confidence_interval(level)
    return Interval(value, float(found.low), float(found.high))


def choice_sentence(summary: SearchSummary) -> str:
    """Return `advantage` as a sentence; empty where it is None or its interval is not finite."""
    found = advantage(summary)
    if found is None or not math.isfinite(found.low):
        return ""
    chosen, others = list(summary.groups)[:2]
    scale, unit = (100.0, " points") if summary.percent else (1.0, "")
    low, high = (f"{scale * each:+.3g}" for each in (found.low, found.high))
    size, side = f"{scale * abs(found.value):.3g}{unit}", "higher" if found.value >= 0.0 else "lower"
    verdict = "" if found.low > 0.0 or found.high < 0.0 else " The difference may be chance."
    return f"Mean score, {chosen} against {others}: {size} {side} (95 % interval {low} to {high}).{verdict}"


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
