"""Rungs of a search with a scheduler: how many candidates came to each, what it cost, and how well it ranked the next."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from archsearch.cluster.schedulers.replay import Curve
from archsearch.evaluators.metrics import kendall_tau
from archsearch.platform import units

MOST = 10
"""Largest number of rungs that are shown: a scheduler that decides after each step may stop candidates at any of them."""
_LEAST = 3  # candidates for a rank correlation


@dataclass(frozen=True, slots=True)
class RungFigures:
    """The figures of one rung.

    Args:
        fidelity: Number of steps at which candidates are compared.
        candidates: Number of candidates that came there.
        ended: Number of them that went no further.
        seconds: Seconds of the steps from the previous rung to this one, sum over candidates.
        best: Highest score there.
        tau: Kendall's rank correlation with the scores at the next rung, of the candidates that came there; NaN for fewer than
            three, and for the last rung.
        compared: Number of these candidates.
    """

    fidelity: int
    candidates: int
    ended: int
    seconds: float
    best: float
    tau: float
    compared: int


def rung_figures(curves: Collection[Curve], most: int = MOST) -> list[RungFigures]:
    """Return the rungs of a search: the fidelities at which candidates ended, in order.

    Args:
        curves: Learning curves of the candidates.
        most: Largest number of rungs; of more, those where most candidates ended, and the last one.
    """
    ends = Counter(curve.steps[-1] for curve in curves if curve.scores)
    if not ends:
        return []
    last = max(ends)
    chosen = sorted({last, *(fidelity for fidelity, _ in ends.most_common(most - 1))})[-most:]
    scores = [{number: _at(curve, fidelity) for number, curve in enumerate(curves)} for fidelity in chosen]
    found = []
    before = 0
    for place, fidelity in enumerate(chosen):
        here = {number: score for number, score in scores[place].items() if score is not None}
        following = scores[place + 1] if fidelity != last else {}
        pairs = [(score, after) for number, score in here.items() if (after := following.get(number)) is not None]
        went_on = len(pairs)
        tau = kendall_tau(*np.asarray(pairs).T[::-1]) if went_on >= _LEAST else math.nan
        seconds = sum(_seconds(curve, before, fidelity) for curve in curves)
        found.append(
            RungFigures(fidelity, len(here), len(here) - went_on, seconds, max(here.values(), default=math.nan), tau, went_on)
        )
        before = fidelity
    return found


def rung_table(rungs: Collection[RungFigures], fidelity_name: str, score_label: str, percent: bool) -> list[list[str]]:
    """Return the rungs as a heading and rows.

    Args:
        rungs: The rungs.
        fidelity_name: What the fidelity counts, such as `epochs`.
        score_label: Name of the score.
        percent: Whether scores are accuracies, shown in percent.
    """
    heading = [fidelity_name, "candidates", "ended here", "time for these steps", f"best {score_label}", "ranked the next (tau)"]
    return [
        heading,
        *(
            [
                *(str(rung.fidelity), str(rung.candidates), str(rung.ended), units.duration(rung.seconds)),
                units.score(rung.best, percent),
                "-" if math.isnan(rung.tau) else f"{rung.tau:.2f} of {rung.compared}",
            ]
            for rung in rungs
        ),
    ]


def _at(curve: Curve, fidelity: int) -> float | None:
    """Return the score of a candidate at a fidelity; None if it did not come there or has no score at just that one."""
    try:
        return curve.scores[curve.steps.index(fidelity)]
    except ValueError:
        return None


def _seconds(curve: Curve, before: int, fidelity: int) -> float:
    return sum(seconds for step, seconds in zip(curve.steps, curve.seconds, strict=True) if before < step <= fidelity)
