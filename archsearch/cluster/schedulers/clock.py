"""A simulated clock: asynchronous workers that do the steps of candidates under a scheduler, in simulated seconds."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ray.tune.schedulers import HyperBandScheduler, TrialScheduler

from archsearch.cluster.schedulers.offline import ScheduledTrials
from archsearch.errors import check_whole_number
from archsearch.evaluators.evaluation import Evaluation

ClockAction = Literal["CONTINUE", "PAUSE", "STOP", "COMPLETE", "FAIL", "RESUME"]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a candidate gives.

    Args:
        fidelity: Number of steps that are done after it, as schedulers count them.
        score: The score after it; higher is better.
        seconds: Duration of this step.
        last: Whether the candidate is complete.
        failed: Whether the candidate failed in this step.
        evaluation: The evaluation after it, if there is one.
    """

    fidelity: int
    score: float
    seconds: float
    last: bool = False
    failed: bool = False
    evaluation: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """One event of the course.

    Args:
        second: Simulated second.
        number: Number of the candidate, in the order of start.
        fidelity: Number of steps that are done.
        score: The score after them; NaN if the candidate failed.
        action: `CONTINUE`, `PAUSE` or `STOP`, decisions of the scheduler; `COMPLETE` or `FAIL`, ends of a candidate; `RESUME`, it
            goes on after a pause. A candidate that is stopped while it is paused has the event `STOP` too.
        reason: The reason in words.
        seconds: Seconds that were spent on the candidate so far.
        evaluation: The evaluation after these steps, if there is one.
    """

    second: float
    number: int
    fidelity: int
    score: float
    action: ClockAction
    reason: str
    seconds: float
    evaluation: Evaluation | None = None


class Candidates(Protocol):
    """The candidates of a simulation."""

    @property
    def finished(self) -> bool:
        """Whether there will be no further candidates."""

    def start(self, number: int) -> bool:
        """Start the next candidate, which gets this number; return False if there is none now."""

    def step(self, number: int) -> Step:
        """Do the next step of a candidate."""

    def told(self, event: ClockEvent) -> None:
        """Take an event, at its simulated second."""


def run_clock(
    candidates: Candidates,
    scheduler: TrialScheduler | None,
    *,
    workers: int,
    fidelity_name: str = "epochs",
    seconds: float = math.inf,
    enough: Callable[[], bool] = lambda: False,
) -> float:
    """Let asynchronous workers do the steps of candidates, and return the simulated second of the last score.

    A free worker takes the paused candidate that the scheduler would run next, or else starts a new one. Events of the same
    second happen in the order in which their steps began, so that the course depends on nothing but the candidates.

    Args:
        candidates: The candidates.
        scheduler: A new scheduler of Ray Tune; None trains each candidate to the end.
        workers: Number of workers.
        fidelity_name: What the fidelity counts, in the plural.
        seconds: Simulated second at which everything ends; candidates in hand are stopped.
        enough: Asked after each event; True ends the simulation, as if the time were up.

    Raises:
        ConfigurationError: `workers` is not a whole number of at least 1.
        RunError: The scheduler raised an error; the candidates in hand are stopped before it is raised.
    """
    check_whole_number("workers", workers)
    clock = _Clock(candidates, scheduler, workers, fidelity_name)
    last = 0.0
    try:
        while clock.fill() and clock.next_second <= seconds and not enough():
            last = clock.advance()
    finally:
        clock.end(seconds if clock.next_second > seconds else clock.now)
    return last


class _Clock:
    """The state of a simulation."""

    def __init__(self, candidates: Candidates, scheduler: TrialScheduler | None, workers: int, fidelity_name: str) -> None:
        self.now = 0.0
        self._candidates, self._workers = candidates, workers
        self._scheduled = ScheduledTrials(scheduler, fidelity_name) if scheduler is not None else None
        self._events: list[tuple[float, int, int, Step]] = []  # end of a stretch of steps, its order, candidate, last step
        # HyperBand halves a bracket when all that are in it have come to its rung: as in Tune, the next one is in it already.
        self._ahead, self._waiting = isinstance(scheduler, HyperBandScheduler), False
        self._order, self._started = itertools.count(), 0
        self._open: dict[int, Step] = {}  # last step that was told, of the candidates in hand
        self._spent: dict[int, float] = {}

    @property
    def next_second(self) -> float:
        """Simulated second of the next event."""
        return self._events[0][0] if self._events else math.inf

    def fill(self) -> bool:
        """Give work to the free workers; return whether anything runs."""
        while len(self._events) < self._workers and self._take():
            pass
        if not self._events and self._open:  # nothing can go on, and no new candidate comes before these have ended
            for number in list(self._open):
                if self._scheduled:
                    self._scheduled.ended(number)
                self._tell(number, self._open.pop(number), "STOP", "no other candidate comes before it has ended")
            return self.fill()
        return bool(self._events)

    def _take(self) -> bool:
        """Start or resume a candidate on a free worker; return whether there was one."""
        new = self._waiting or not self._candidates.finished
        number = self._runnable(new)
        if number is None and new:
            if self._waiting or self._proposed():
                number, self._waiting = self._started - 1, False
                self._open[number], self._spent[number] = Step(0, math.nan, 0.0), 0.0
                self._work(number)
                return True
            number = self._runnable(False)
        if number is None or self._scheduled is None:
            return False
        self._scheduled.resume(number)
        self._tell(number, self._open[number], "RESUME", self._scheduled.reason(number))
        self._work(number)
        return True

    def _proposed(self) -> bool:
        """Ask for the next candidate and let the scheduler know of it; return whether there is one."""
        if not self._candidates.start(self._started):
            return False
        if self._scheduled:
            self._scheduled.add(self._started)
        self._started += 1
        return True

    def _runnable(self, new: bool) -> int | None:
        if self._scheduled is None:
            return None
        self._scheduled.no_more = self._candidates.finished
        number = self._scheduled.runnable(new=new)
        for stopped in self._scheduled.stopped():
            self._tell(stopped, self._open.pop(stopped), "STOP", self._scheduled.reason(stopped))
        return number

    def _work(self, number: int) -> None:
        """Do steps until the next one at which the scheduler decides, and note when they end."""
        seconds, before = 0.0, self._open[number].fidelity
        while True:
            step = self._candidates.step(number)
            seconds += step.seconds
            if step.last or step.failed or (self._scheduled and self._scheduled.decides_between(before, step.fidelity)):
                break
        self._spent[number] += seconds
        heapq.heappush(self._events, (self.now + seconds, next(self._order), number, step))

    def advance(self) -> float:
        """Go to the next event and return its second."""
        self.now, _, number, step = heapq.heappop(self._events)
        if self._ahead and not self._waiting and not self._candidates.finished:
            self._waiting = self._proposed()
        self._open[number] = step
        if step.failed or self._scheduled is None:
            if self._scheduled:
                self._scheduled.ended(number)
            del self._open[number]
            self._tell(number, step, "FAIL" if step.failed else "COMPLETE", "")
            return self.now
        decision = self._scheduled.result(number, step.fidelity, step.score, last=step.last)
        if decision.action == "STOP":
            del self._open[number]
        self._tell(number, step, "COMPLETE" if step.last else decision.action, decision.reason)
        if decision.action == "CONTINUE":
            self._work(number)
        return self.now

    def end(self, second: float) -> None:
        """Stop all candidates in hand, with the last score that they had reached; those without one are left out."""
        for end, _, number, _ in self._events:
            self._spent[number] -= end - second
        self._events.clear()
        self.now = second
        for number in list(self._open):
            step = self._open.pop(number)
            if step.fidelity:
                self._tell(number, step, "STOP", "the time is up")

    def _tell(self, number: int, step: Step, action: ClockAction, reason: str) -> None:
        score = math.nan if step.failed else step.score
        spent = self._spent[number]
        self._candidates.told(ClockEvent(self.now, number, step.fidelity, score, action, reason, spent, step.evaluation))
