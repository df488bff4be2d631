"""The funnel of a search: how many candidates came to each rung, what a rung cost, and how well it ranked the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archsearch.cluster.ledger.rungs import RungEvent
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.metrics import kendall_tau

RANKED = 0
"""Fidelity of the rung of candidates that were ranked without a step, such as by a graph hypernetwork."""
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of a search.

    Args:
        fidelity: Number of steps after which its candidates were scored; `RANKED` for those that were ranked before any step,
            None for complete evaluations.
        candidates: Number of candidates that were scored here.
        went_on: Number of those of which further steps were done; for `RANKED` those that were evaluated at all.
        stopped: Number of those that the scheduler stopped here; the others went on, paused or are still in hand.
        seconds: Seconds that were paid from the rung before to this one; those of ranking for `RANKED`.
        pairs: Number of candidates with a score here and at the next rung.
        tau: Kendall's tau-b between both scores, from -1 to 1; None for fewer than 5 such candidates or if undefined.
    """

    fidelity: int | None
    candidates: int
    went_on: int
    stopped: int
    seconds: float
    pairs: int
    tau: float | None


def funnel(
    events: Sequence[RungEvent],
    *,
    evaluations: Sequence[Evaluation] = (),
    ranked: Mapping[str, float] | None = None,
    ranking_seconds: float = 0.0,
    most: int = 8,
) -> list[Rung]:
    """Return the rungs of a search, the lowest first.

    The tau of a rung is over the candidates that came to the next one, the best of the rung, which are harder to rank than all
    are.

    Args:
        events: The events of the scheduler in the run; empty without a scheduler.
        evaluations: Evaluations of candidates without events, such as all of a search without a scheduler.
        ranked: Predictions by key of the candidates that were ranked before any step, higher is better, as `searcher.ranked`.
        ranking_seconds: Seconds of that ranking, with what was trained for it.
        most: Largest number of rungs below the complete evaluations. A scheduler that decides after each step has one rung a
            step: of more, the first, the last and those at which most candidates were stopped are kept; stops and seconds of
            the others count for the next one.

    Example:
        >>> from archsearch.cluster.ledger.rungs import RungEvent
        >>> events = [
        ...     RungEvent(0, 0, "a", "a", 3, 0.5, "CONTINUE", seconds=3.0),
        ...     RungEvent(1, 1, "b", "b", 3, 0.4, "STOP", seconds=3.0),
        ...     RungEvent(2, 0, "a", "a", 9, 0.9, "COMPLETE", seconds=6.0),
        ... ]
        >>> rungs = funnel(events, ranked={"a": 2.0, "b": 1.0, "c": 0.5}, ranking_seconds=1.5)
        >>> [(rung.fidelity, rung.candidates, rung.went_on, rung.stopped, rung.seconds) for rung in rungs]
        [(0, 3, 2, 0, 1.5), (3, 2, 1, 1, 6.0), (None, 1, 0, 0, 6.0)]
    """
    scores: dict[int | None, dict[str, float]] = {}
    stopped: dict[int, set[str]] = {}
    for event in events:
        if event.action == "STOP":
            stopped.setdefault(event.fidelity, set()).add(event.key)
        if event.has_score:
            scores.setdefault(None if event.action == "COMPLETE" else event.fidelity, {})[event.key] = event.score
    known = {event.key for event in events}
    others = [evaluation for evaluation in evaluations if evaluation.key not in known]
    for evaluation in others:
        if evaluation.ok:
            scores.setdefault(evaluation.fidelity, {})[evaluation.key] = evaluation.score
    steps = _kept(sorted(fidelity for fidelity in scores if fidelity is not None), stopped, most)
    seconds: dict[int | None, float] = {}
    paid = [(None if event.action == "COMPLETE" else event.fidelity, event.seconds) for event in events]
    for fidelity, spent in [*paid, *((each.fidelity, each.seconds) for each in others)]:
        rung = None if fidelity is None else _rung(steps, fidelity)
        seconds[rung] = seconds.get(rung, 0.0) + spent
    places: list[int | None] = [*steps, *([None] if None in scores or None in seconds else [])]
    if ranked:
        finite = {key: value for key, value in ranked.items() if math.isfinite(value)}
        places, scores[RANKED], seconds[RANKED] = [RANKED, *places], finite, ranking_seconds
    reached = {fidelity: set(scores.get(fidelity, {})) for fidelity in places}
    began = known | {evaluation.key for evaluation in others}
    found = []
    for place, fidelity in enumerate(places):
        own = scores.get(fidelity, {})
        beyond = set().union(*(reached[later] for later in places[place + 1 :]), began if fidelity == RANKED else ())
        following = scores.get(places[place + 1], {}) if place + 1 < len(places) else {}
        ended = (
            set() if fidelity is None else set().union(*(keys for at, keys in stopped.items() if _rung(steps, at) == fidelity))
        )
        pairs, tau = _agreement(own, following)
        found.append(
            Rung(
                fidelity=fidelity,
                candidates=len(own),
                went_on=len(beyond & own.keys()),
                stopped=len(ended),
                seconds=seconds.get(fidelity, 0.0),
                pairs=pairs,
                tau=tau,
            )
        )
    return found


def funnel_figures(rungs: Sequence[Rung]) -> dict[str, float]:
    """Return the figures of rungs by name, for a tracker: `rung/4/candidates`, `rung/4/seconds`, `rung/complete/tau_next` ..."""
    figures: dict[str, float] = {}
    for rung in rungs:
        name = "ranked" if rung.fidelity == RANKED else "complete" if rung.fidelity is None else str(rung.fidelity)
        figures |= {f"rung/{name}/candidates": float(rung.candidates), f"rung/{name}/seconds": rung.seconds}
        if rung.tau is not None:
            figures[f"rung/{name}/tau_next"] = rung.tau
    return figures


def _kept(steps: list[int], stopped: Mapping[int, set[str]], most: int) -> list[int]:
    """Return the rungs to show, in order: the first, the last, and those between at which most candidates were stopped."""
    if len(steps) <= most:
        return steps
    by_stops = sorted(steps[1:-1], key=lambda fidelity: (-len(stopped.get(fidelity, ())), fidelity))
    return sorted([steps[0], *by_stops[: max(0, most - 2)], steps[-1]])


def _rung(steps: Sequence[int], fidelity: int) -> int | None:
    """Return the rung for which a number of steps counts: the next one from there on; None if it is above all."""
    return next((each for each in steps if each >= fidelity), None)


def _agreement(scores: Mapping[str, float], following: Mapping[str, float]) -> tuple[int, float | None]:
    """Return the number of candidates in both, and the rank correlation of their scores."""
    keys = [key for key in scores if key in following]
    if len(keys) < _FEWEST:
        return len(keys), None
    tau = kendall_tau([following[key] for key in keys], [scores[key] for key in keys])
    return len(keys), tau if math.isfinite(tau) else None
