"""Replay of recorded learning curves: what a scheduler would have saved, and what it would have lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any

from ray.tune.schedulers import TrialScheduler

from archsearch.cluster.schedulers import registry
from archsearch.cluster.schedulers.clock import ClockEvent, Step, run_clock
from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS


@dataclass(frozen=True, slots=True)
class Curve:
    """The recorded course of one candidate.

    Args:
        scores: Score after each step; higher is better. It is empty for a candidate that failed.
        seconds: Duration of each step.
        complete: Whether the last score is that of a complete evaluation; otherwise the candidate was stopped there.
        fidelities: Number of steps that are done at each score, as schedulers count them; empty counts from 1.

    Raises:
        ConfigurationError: The lengths differ.
    """

    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    complete: bool = True
    fidelities: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.seconds) or (self.fidelities and len(self.fidelities) != len(self.scores)):
            raise ConfigurationError(
                f"curves: expected as many scores as seconds and fidelities; got {len(self.scores)}, {len(self.seconds)} and "
                f"{len(self.fidelities)}."
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Fidelity of each score."""
        return self.fidelities or tuple(range(1, len(self.scores) + 1))

    @classmethod
    def of(cls, evaluation: Evaluation, fidelities: Sequence[int] = ()) -> Curve | None:
        """Return the curve of an evaluation that was recorded step by step; None if it has none.

        A step whose score is not finite ends the curve, as that of a candidate that was stopped there.

        Args:
            evaluation: The evaluation.
            fidelities: Fidelity after each step of a complete evaluation; empty counts from 1.
        """
        scores, seconds = (tuple(evaluation.curves.get(name, ())) for name in (STEP_SCORES, STEP_SECONDS))
        length = next((place for place, score in enumerate(scores) if not math.isfinite(score)), len(scores))
        length = min(length, len(seconds))
        if length == 0:
            return None
        complete = evaluation.ok and not evaluation.is_partial and length == len(scores)
        return cls(scores[:length], seconds[:length], complete, tuple(fidelities)[:length])


@dataclass(frozen=True, slots=True)
class Replay:
    """What a scheduler would have done with the candidates of a run.

    Args:
        scheduler: Its name.
        options: Its options, where it was given by name.
        full_seconds: Seconds of all recorded steps.
        seconds: Seconds of the steps that the scheduler would have had done.
        best: Last recorded score of the best candidate.
        kept: Last recorded score of the candidate that would have been found: among those that would have come furthest, the one
            with the best score there.
        complete: Number of candidates that would have been trained to the end.
        stopped: Numbers of those that would have been stopped, in the order of the curves.
        cut_short: Number of candidates of which the scheduler wanted more steps than were recorded.
        events: The course.
    """

    scheduler: str
    options: Mapping[str, Any]
    full_seconds: float
    seconds: float
    best: float
    kept: float
    complete: int
    stopped: tuple[int, ...]
    cut_short: int
    events: tuple[ClockEvent, ...]

    @property
    def saved_seconds(self) -> float:
        """Seconds that would have been saved."""
        return self.full_seconds - self.seconds

    @property
    def saved(self) -> float:
        """Share of the seconds that would have been saved."""
        return self.saved_seconds / self.full_seconds if self.full_seconds else 0.0

    @property
    def lost(self) -> float:
        """Score that would have been lost; 0 where the best candidate would have been found."""
        return self.best - self.kept


def replay(
    curves: Sequence[Curve],
    scheduler: str | TrialScheduler,
    options: Mapping[str, Any] | None = None,
    *,
    max_fidelity: int,
    fidelity_name: str = "epochs",
    workers: int = 1,
) -> Replay:
    """Return what a scheduler would have done with the candidates of a run.

    The candidates come in the recorded order, as if the searcher had proposed the same ones; what it would have learned from
    other scores is not part of the replay.

    Args:
        curves: Recorded curves, in the order in which the candidates started.
        scheduler: As for `registry.get`.
        options: As for `registry.get`.
        max_fidelity: Fidelity of a complete evaluation.
        fidelity_name: What the fidelity counts, in the plural.
        workers: Number of workers.

    Raises:
        ConfigurationError: There is no curve, or the scheduler or its options cannot be used.
        RunError: The scheduler raised an error.

    Example:
        >>> from archsearch.cluster.schedulers.replay import Curve, replay
        >>> curves = [Curve((0.1 * each, 0.2 * each, 0.3 * each), (1.0, 1.0, 1.0)) for each in (3, 1, 2)]
        >>> found = replay(curves, "asha", {"grace_period": 1}, max_fidelity=3)
        >>> found.saved_seconds, found.lost, found.stopped
        (4.0, 0.0, (1, 2))
    """
    check_whole_number("max_fidelity", max_fidelity)
    given = _checked(curves)
    made = registry.get(scheduler, options, max_fidelity=max_fidelity, fidelity_name=fidelity_name)
    recorded = _Recorded(given)
    run_clock(recorded, made, workers=workers, fidelity_name=fidelity_name)
    name = scheduler if isinstance(scheduler, str) else type(scheduler).__name__
    return recorded.outcome(name, dict(options or {}))


def settings_without_loss(
    curves: Sequence[Curve],
    schedulers: Iterable[str] = ("asha", "promotion"),
    *,
    max_fidelity: int,
    fidelity_name: str = "epochs",
    workers: int = 1,
    most_lost: float = 0.0,
) -> list[Replay]:
    """Return the replays of the settings that lose nothing, the one that saves most first; at most one for each course.

    Args:
        curves: As for `replay`.
        schedulers: Names of the schedulers whose settings are tried.
        max_fidelity: As for `replay`.
        fidelity_name: As for `replay`.
        workers: As for `replay`.
        most_lost: Score that may be lost.

    Raises:
        ConfigurationError: There is no curve, or no scheduler has a name.
    """
    found: list[Replay] = []
    seen = set()
    for name in schedulers:
        for options in _options_to_try(name, max_fidelity):
            outcome = replay(curves, name, options, max_fidelity=max_fidelity, fidelity_name=fidelity_name, workers=workers)
            course = (name, outcome.seconds, outcome.stopped)
            if outcome.lost <= most_lost and outcome.saved_seconds > 0 and course not in seen:
                seen.add(course)
                found.append(outcome)
    return sorted(found, key=lambda each: each.seconds)


def _options_to_try(name: str, max_fidelity: int) -> Iterator[dict[str, Any]]:
    """Yield settings of a scheduler: first rungs from one step to half of all, and a few reduction factors."""
    grace = sorted({max(1, round(max_fidelity / part)) for part in (27, 16, 9, 6, 4, 2)})
    record = registry.describe(name)
    names = set(record.options.__dataclass_fields__)
    choices: dict[str, Sequence[Any]] = {}
    if "grace_period" in names:
        choices["grace_period"] = grace
    if "reduction_factor" in names:
        choices["reduction_factor"] = (2, 3, 4)
    for values in product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def _checked(curves: Sequence[Curve]) -> list[Curve]:
    given = list(curves)
    for curve in given:
        check_kind("curves", curve, Curve, "a sequence of Curve")
    if not any(curve.scores for curve in given):
        raise ConfigurationError(
            "curves: expected the curve of at least one candidate; got none. Only evaluations that were recorded step by step "
            "have curves."
        )
    return given


class _Recorded:
    """Candidates whose steps were recorded."""

    def __init__(self, curves: list[Curve]) -> None:
        self._curves = curves
        self._started, self._done = 0, [0] * len(curves)
        self._events: list[ClockEvent] = []
        self._cut_short: set[int] = set()

    @property
    def finished(self) -> bool:
        return self._started == len(self._curves)

    def start(self, number: int) -> bool:
        if self.finished:
            return False
        self._started += 1
        return True

    def step(self, number: int) -> Step:
        curve, place = self._curves[number], self._done[number]
        if place >= len(curve.scores):  # it failed, or was stopped here when it was recorded
            self._cut_short |= {number} if curve.scores else set()
            return Step(curve.steps[-1] if curve.scores else 0, math.nan, 0.0, failed=True)
        self._done[number] = place + 1
        last = curve.complete and place + 1 == len(curve.scores)
        return Step(curve.steps[place], curve.scores[place], curve.seconds[place], last)

    def told(self, event: ClockEvent) -> None:
        self._events.append(event)

    def outcome(self, name: str, options: dict[str, Any]) -> Replay:
        scored = [(number, curve) for number, curve in enumerate(self._curves) if curve.scores]
        reached = {number: self._done[number] for number, _ in scored if self._done[number]}
        winner = max(reached, key=lambda each: (self._curves[each].steps[reached[each] - 1], self._score(each, reached[each])))
        spent = [list(accumulate(curve.seconds, initial=0.0)) for curve in self._curves]
        return Replay(
            scheduler=name,
            options=options,
            full_seconds=sum(each[-1] for each in spent),
            seconds=sum(each[done] for each, done in zip(spent, self._done, strict=True)),
            best=max(curve.scores[-1] for _, curve in scored if curve.complete or not self._any_complete()),
            kept=self._curves[winner].scores[-1],
            complete=sum(curve.complete and self._done[number] == len(curve.scores) for number, curve in scored),
            stopped=tuple(number for number, curve in scored if self._done[number] < len(curve.scores)),
            cut_short=len(self._cut_short),
            events=tuple(self._events),
        )

    def _any_complete(self) -> bool:
        return any(curve.complete for curve in self._curves)

    def _score(self, number: int, done: int) -> float:
        return self._curves[number].scores[done - 1]
