"""Feeds schedulers of Ray Tune without Tune: for simulations, for the replay of recorded curves, and to restore their state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, MedianStoppingRule, TrialScheduler

from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.schedulers.wording import amount, ordinal
from archsearch.errors import ArchSearchError, ConfigurationError, RunError, check_kind, message_in_one_line, one_line

Action = Literal["CONTINUE", "PAUSE", "STOP"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a scheduler decides about a trial after a result.

    Args:
        action: `CONTINUE`, `PAUSE` or `STOP`.
        reason: The reason in words, such as `12th of 40 at 4 epochs; the best 13 go on`; empty if there was nothing to decide.
    """

    action: Action
    reason: str


@dataclass(eq=False)
class OfflineTrial:
    """A trial as schedulers see it: a name, a status, and its last result.

    Args:
        trial_id: Its name.
        status: As in Tune: `PENDING`, `RUNNING`, `PAUSED`, `TERMINATED` or `ERROR`.
        config: Settings of the trial.
        last_result: Its last result.
    """

    trial_id: str
    status: str = "RUNNING"
    config: dict[str, Any] = field(default_factory=dict)
    last_result: dict[str, Any] = field(default_factory=dict)
    is_saving: bool = False

    def __str__(self) -> str:
        return self.trial_id

    def is_finished(self) -> bool:
        """Return whether the trial has ended."""
        return self.status in ("TERMINATED", "ERROR")


class ScheduledTrials:
    """Trials under a scheduler of Ray Tune, without Tune: results go in, decisions come out.

    The scheduler is called as Tune calls it: `on_trial_add` for a new trial; `on_trial_result` for a result that is not the last
    one; `on_trial_complete` after a decision to stop, and for the last result, which is not given to `on_trial_result`;
    `on_trial_error` for a trial that failed while it ran and `on_trial_remove` for one that was paused. The same calls in the
    same order give the same decisions, so that a scheduler whose rungs were lost gets them back by repeating the calls, and goes
    on with new ones.

    Trials are numbered by the caller. A trial counts as running from `add` or `resume` until it pauses, is stopped or has ended.

    Args:
        scheduler: The scheduler; it must be new.
        fidelity_name: What the fidelity counts, in the plural, for the reasons.

    Raises:
        ConfigurationError: `scheduler` is no scheduler of Ray Tune.

    Example:
        >>> from archsearch.cluster.schedulers import registry
        >>> from archsearch.cluster.schedulers.offline import ScheduledTrials
        >>> trials = ScheduledTrials(registry.get("promotion", {"grace_period": 1}, max_fidelity=9, fidelity_name="epochs"))
        >>> for number, score in enumerate([0.5, 0.7, 0.6]):
        ...     trials.add(number)
        ...     print(trials.result(number, 1, score))
        Decision(action='PAUSE', reason='1st of 1 at 1 epoch; none goes on yet')
        Decision(action='PAUSE', reason='1st of 2 at 1 epoch; none goes on yet')
        Decision(action='PAUSE', reason='2nd of 3 at 1 epoch; the best goes on')
        >>> trials.runnable(), trials.reason(1)
        (1, '1st of 3 at 1 epoch; the best goes on')
    """

    def __init__(self, scheduler: TrialScheduler, fidelity_name: str = "epochs") -> None:
        check_kind("scheduler", scheduler, TrialScheduler, "a scheduler of ray.tune.schedulers")
        self.scheduler, self._fidelity_name = scheduler, fidelity_name
        self._milestones = milestones(scheduler)
        self._trials: dict[int, OfflineTrial] = {}
        self._numbers: dict[OfflineTrial, int] = {}
        self._scores: dict[int, dict[int, float]] = {}  # by fidelity and trial
        self._reasons: dict[int, str] = {}
        self._stopped: list[int] = []
        self._new = OfflineTrial("new", status="PENDING")  # stands for the next candidate of the searcher
        self._controller = _Controller(self)
        self.no_more = False
        """Whether the searcher has no further candidates; set it when it says so."""

    def add(self, number: int) -> None:
        """Start a trial; one that is known starts again, as after the death of its process.

        Raises:
            RunError: The scheduler raised an error.
        """
        trial = self._trials.get(number)
        if trial is None:
            trial = self._trials[number] = OfflineTrial(f"trial{number:06d}")
            self._numbers[trial] = number
        trial.status = "RUNNING"
        self._call("on_trial_add", trial)

    def result(self, number: int, fidelity: int, score: float, *, last: bool = False) -> Decision:
        """Take a result of a running or resumed trial and return the scheduler's decision.

        Args:
            number: Number of the trial.
            fidelity: Number of steps that are done.
            score: The score; higher is better.
            last: Whether the trial is complete; the decision is then to stop.

        Raises:
            ConfigurationError: The trial was not added or has ended, or the score is not finite.
            RunError: The scheduler raised an error, or returned none of Tune's decisions.
        """
        trial = self._trial(number)
        if trial.is_finished():
            raise ConfigurationError(f"number: expected a trial that has not ended; trial {number} has.")
        if not math.isfinite(score):
            raise ConfigurationError(f"score: expected a finite number; got {score}. End a trial that failed by ended(number).")
        trial.status = "RUNNING"
        trial.last_result = result = {"training_iteration": fidelity, "fidelity": fidelity, "score": score}
        self._scores.setdefault(fidelity, {})[number] = score
        if last:
            self._end(trial, "TERMINATED", "on_trial_complete", dict(result))
            return Decision("STOP", self._note(number, f"complete after {amount(fidelity, self._fidelity_name)}"))
        action = self._call("on_trial_result", trial, dict(result))
        if action == TrialScheduler.NOOP:  # it has called pause_trial or stop_trial itself
            action = {"PAUSED": "PAUSE", "TERMINATED": "STOP"}.get(trial.status, "CONTINUE")
        if action not in ("CONTINUE", "PAUSE", "STOP"):
            raise RunError(
                f"scheduler: expected CONTINUE, PAUSE or STOP from on_trial_result of {type(self.scheduler).__name__}; got "
                f"{one_line(action)}. {_REMEDY}"
            )
        reason = self._note(number, self._explained(number, fidelity, action))
        if action == "PAUSE":
            trial.status = "PAUSED"
        elif action == "STOP" and not trial.is_finished():
            self._end(trial, "TERMINATED", "on_trial_complete", dict(result))
        return Decision(action, reason)

    def ended(self, number: int) -> None:
        """Note that a trial has failed, or was given up, without a last result.

        Raises:
            ConfigurationError: The trial was not added.
            RunError: The scheduler raised an error.
        """
        trial = self._trial(number)
        if not trial.is_finished():
            self._end(trial, "ERROR", "on_trial_error" if trial.status == "RUNNING" else "on_trial_remove")

    def runnable(self, *, new: bool = False) -> int | None:
        """Return the paused trial that the scheduler runs next on a free worker, or None; `resume` starts it.

        When nothing runs and the searcher has no more candidates, a scheduler may stop paused trials here; see `stopped`.

        Args:
            new: Whether a new candidate could start instead; then None means that it should.

        Raises:
            RunError: The scheduler raised an error.
        """
        self._controller.new = [self._new] if new else []
        try:
            chosen = self._call("choose_trial_to_run")
        finally:
            self._controller.new = []
        return self._numbers[chosen] if chosen in self._numbers and chosen.status == "PAUSED" else None

    def decides_between(self, before: int, after: int) -> bool:
        """Return whether the scheduler may decide about a trial that goes from one fidelity to another."""
        return self._milestones is None or any(before < milestone <= after for milestone in self._milestones)

    def resume(self, number: int) -> None:
        """Note that a paused trial goes on.

        Raises:
            ConfigurationError: The trial was not added.
        """
        self._trial(number).status = "RUNNING"

    def stopped(self) -> list[int]:
        """Return the paused trials that the scheduler has stopped since the last call."""
        stopped, self._stopped = self._stopped, []
        return stopped

    def paused(self) -> list[int]:
        """Return the trials that are paused, in the order in which they were added."""
        return [number for number, trial in self._trials.items() if trial.status == "PAUSED"]

    def reason(self, number: int) -> str:
        """Return why a trial was paused, stopped or resumed at last; empty if there was nothing to decide yet."""
        own = getattr(self.scheduler, "reasons", None)
        trial = self._trial(number)
        if isinstance(own, Mapping) and trial.trial_id in own and not trial.is_finished():
            return str(own[trial.trial_id])
        return self._reasons.get(number, "")

    def _trial(self, number: int) -> OfflineTrial:
        if number not in self._trials:
            raise ConfigurationError(f"number: expected a trial that was added; got {one_line(number)}.")
        return self._trials[number]

    def _note(self, number: int, reason: str) -> str:
        self._reasons[number] = reason
        return reason

    def _end(self, trial: OfflineTrial, status: str, method: str, *arguments: Any) -> None:
        try:
            self._call(method, trial, *arguments)
        finally:
            trial.status = status

    def _stop(self, trial: OfflineTrial) -> None:
        """Stop a trial for the scheduler, as Tune's `stop_trial`."""
        if trial.is_finished():
            return
        number = self._numbers[trial]
        if trial.status == "RUNNING":
            self._end(trial, "TERMINATED", "on_trial_complete", dict(trial.last_result))
            return
        self._end(trial, "TERMINATED", "on_trial_remove")
        own = getattr(self.scheduler, "reasons", None)
        told = own.get(trial.trial_id) if isinstance(own, Mapping) else None
        fidelity = trial.last_result.get("fidelity", 0)
        self._note(number, str(told) if told else self._explained(number, fidelity, "STOP"))
        self._stopped.append(number)

    def _call(self, method: str, *arguments: Any) -> Any:
        call: Callable[..., Any] = getattr(self.scheduler, method)
        try:
            return call(self._controller, *arguments)
        except ArchSearchError:
            raise
        except Exception as error:  # a scheduler of a user may raise anything
            trial = f" for {arguments[0]}, {arguments[0].last_result}" if arguments else ""
            raise RunError(
                f"scheduler: {type(self.scheduler).__name__}.{method} raised {type(error).__name__}{trial}: "
                f"{message_in_one_line(error, 200)}. {_REMEDY}"
            ) from error

    def _explained(self, number: int, fidelity: int, action: str) -> str:
        """Return the reason of a decision: the scheduler's own, or the place of the trial among those of its fidelity."""
        own = getattr(self.scheduler, "reasons", None)
        trial = self._trials[number]
        if action == "CONTINUE" and not self._decides_at(number, fidelity):
            return ""
        if isinstance(own, Mapping) and trial.trial_id in own:
            return str(own[trial.trial_id])
        scores = self._scores.get(fidelity, {})
        rank = 1 + sum(score > scores[number] for score in scores.values()) if number in scores else 1
        place = f"{ordinal(rank)} of {len(scores)} at {amount(fidelity, self._fidelity_name)}"
        if isinstance(self.scheduler, AsyncHyperBandScheduler):
            kept = _kept_by_asha(len(scores), getattr(self.scheduler, "_reduction_factor", 4))
            kept = min(kept, rank - 1) if action == "STOP" else max(kept, rank)
            return f"{place}; the best {kept} go on" if kept > 1 else f"{place}; the best goes on"
        if isinstance(self.scheduler, HyperBandScheduler) and action != "CONTINUE":
            return f"{place}; {'waits for its bracket' if action == 'PAUSE' else 'its bracket goes on with better ones'}"
        if isinstance(self.scheduler, MedianStoppingRule) and action == "STOP":
            return f"{place}; below the median of the others so far"
        return place

    def _decides_at(self, number: int, fidelity: int) -> bool:
        """Return whether a trial has come to a milestone since its previous result."""
        earlier = max((each for each, scores in self._scores.items() if each < fidelity and number in scores), default=0)
        return self.decides_between(earlier, fidelity)


_REMEDY = (
    "What was paid is in the ledger: mend the scheduler and resume the search, or choose another one, such as promotion or asha."
)


def _kept_by_asha(count: int, reduction_factor: float) -> int:
    """Return how many of `count` trials reach the percentile that Tune's ASHA computes from all but the newest of them."""
    others = count - 1
    return 1 if others < 1 else others - math.ceil((1.0 - 1.0 / reduction_factor) * (others - 1) - 1e-9)


class _Controller:
    """What schedulers ask of Tune's controller."""

    def __init__(self, scheduled: ScheduledTrials) -> None:
        self._scheduled = scheduled
        self.new: list[OfflineTrial] = []
        self.search_alg = _Search(scheduled)

    def get_trials(self) -> list[OfflineTrial]:
        return [*self._scheduled._trials.values(), *self.new]

    def get_live_trials(self) -> list[OfflineTrial]:
        return [trial for trial in self.get_trials() if not trial.is_finished()]

    def stop_trial(self, trial: OfflineTrial) -> None:
        self._scheduled._stop(trial)

    def pause_trial(self, trial: OfflineTrial, should_checkpoint: bool = True) -> None:
        if not trial.is_finished():
            trial.status = "PAUSED"


class _Search:
    """What schedulers ask of Tune's search algorithm."""

    def __init__(self, scheduled: ScheduledTrials) -> None:
        self._scheduled = scheduled

    def is_finished(self) -> bool:
        return self._scheduled.no_more
