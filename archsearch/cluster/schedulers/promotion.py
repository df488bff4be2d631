"""Asynchronous successive halving that pauses candidates at rungs and promotes the best of them from their checkpoints."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ray.tune.schedulers import TrialScheduler

from archsearch.cluster.schedulers.wording import amount, ordinal
from archsearch.errors import ConfigurationError, check_whole_number, one_line

_PENDING, _RUNNING, _PAUSED = "PENDING", "RUNNING", "PAUSED"


class _Rung:
    """Scores of the trials that have come to a rung, and the trials that went on from it.

    Args:
        milestone: Fidelity of the rung.
    """

    def __init__(self, milestone: int) -> None:
        self.milestone = milestone
        self.gone_on: set[str] = set()
        self._ranked: list[tuple[float, int, str]] = []  # negative score, order of arrival, trial; the best first
        self._places: dict[str, tuple[float, int, str]] = {}

    def __len__(self) -> int:
        return len(self._ranked)

    def add(self, trial: str, score: float) -> None:
        """Take the score of a trial; higher is better."""
        place = self._places[trial] = (-score, len(self._ranked), trial)
        insort(self._ranked, place)

    def rank(self, trial: str) -> int:
        """Return the rank of a trial from 1; of equal scores the one that arrived first has the better rank."""
        return bisect_left(self._ranked, self._places[trial]) + 1

    def best(self, count: int | None = None) -> Iterator[str]:
        """Yield the best trials, the best first."""
        yield from (trial for _, _, trial in islice(self._ranked, count))


class Promotion(TrialScheduler):
    """Successive halving that promotes: a trial pauses at each rung, and goes on from its checkpoint when it is promoted.

    Whenever a worker is free, the best trial goes on that is among the best 1/eta of its rung and has not gone on yet, the
    highest rung first; if there is none, a new trial starts: `get_job` of algorithm 2 (ASHA) in Li et al., "A system for
    massively parallel hyperparameter tuning" (MLSys 2020). Tune's `ASHAScheduler` instead decides once, when a trial comes to a
    rung, from the few results that are there by then: what it stops is lost, and what it lets pass early stays.

    A trial that would be promoted at once goes on without a pause. If no trial runs, none may be promoted and no new one comes,
    the best one of the highest rung goes on, so that no worker idles. When the search has no further candidates, promotion
    continues until the rule allows none; then, if no trial has come to the end, the best of the highest rung goes on until one
    has. The remaining trials are stopped.

    Paused trials hold no worker, but they are not complete: a limit on concurrent trials that counts them must not be set, or
    all places are soon taken by paused trials.

    Args:
        max_fidelity: Fidelity of a complete trial.
        grace_period: Fidelity of the first rung.
        reduction_factor: Ratio of the fidelities of successive rungs, and of the numbers of trials at them; eta.
        metric: Name of the score in results; None takes that of `tune.TuneConfig`.
        mode: `max`, `min`, or None for that of `tune.TuneConfig`.
        time_attr: Name of the fidelity in results.
        fidelity_name: What the fidelity counts, in the plural, for `reasons`.

    Raises:
        ConfigurationError: An argument is out of range.

    Attributes:
        reasons: Why each trial paused, went on or was stopped at last, by its id.

    Example:
        >>> from archsearch.cluster.schedulers.promotion import Promotion
        >>> Promotion(max_fidelity=108, grace_period=4, reduction_factor=3).milestones
        [4, 12, 36]
    """

    _supports_buffered_results = False

    def __init__(
        self,
        max_fidelity: int,
        grace_period: int = 1,
        reduction_factor: float = 3.0,
        *,
        metric: str | None = "score",
        mode: str | None = "max",
        time_attr: str = "fidelity",
        fidelity_name: str = "epochs",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_whole_number("max_fidelity", max_fidelity)
        check_whole_number("grace_period", grace_period)
        if grace_period > max_fidelity:
            raise ConfigurationError(
                f"grace_period: expected at most {max_fidelity}, the fidelity of a complete trial; got {grace_period}."
            )
        number = isinstance(reduction_factor, int | float) and not isinstance(reduction_factor, bool)
        if not number or not 1.0 < reduction_factor < math.inf:
            raise ConfigurationError(f"reduction_factor: expected a number above 1; got {one_line(reduction_factor)}.")
        if mode not in ("max", "min", None):
            raise ConfigurationError(f"mode: expected max, min or None; got {one_line(mode)}.")
        self.max_fidelity, self.reduction_factor = max_fidelity, float(reduction_factor)
        self._metric, self._mode, self._time_attr, self._fidelity_name = metric, mode, time_attr, fidelity_name
        self._rungs = [_Rung(milestone) for milestone in _milestones(max_fidelity, grace_period, self.reduction_factor)]
        self._passed: dict[str, int] = {}  # number of rungs that a trial has come to
        self._chosen: str | None = None  # the trial that goes on next and does not run yet
        self._complete = 0
        self.reasons: dict[str, str] = {}

    @property
    def milestones(self) -> list[int]:
        """Fidelities of the rungs, lowest first, without that of a complete trial."""
        return [rung.milestone for rung in self._rungs]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take metric and mode of `tune.TuneConfig` where none were given; return False if they were given twice."""
        if (self._metric and metric) or (self._mode and mode):
            return False
        self._metric, self._mode = self._metric or metric, self._mode or mode
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a new trial, or one that starts again after the death of its process."""
        if not self._metric or not self._mode:
            raise ConfigurationError("Promotion: give metric and mode, here or in tune.TuneConfig.")
        self._passed.setdefault(trial.trial_id, 0)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return whether the trial goes on, pauses, or has come to the end."""
        name, fidelity = trial.trial_id, result.get(self._time_attr)
        if self._chosen == name:
            self._chosen = None
        score = self._score(result)
        if fidelity is None or score is None:
            return self.CONTINUE
        if fidelity >= self.max_fidelity:
            self.reasons[name] = f"complete after {amount(self.max_fidelity, self._fidelity_name)}"
            return self.STOP
        level = self._level(name, fidelity)
        if level is None:
            return self.CONTINUE
        rung = self._rungs[level]
        rung.add(name, score)
        self._passed[name] = level + 1
        waiting = {each.trial_id for each in tune_controller.get_trials() if each.status == _PAUSED}
        self.reasons[name] = self._standing(rung, name)
        if self._chosen is None and self._promotable(waiting | {name}) == (rung, name):
            rung.gone_on.add(name)
            return self.CONTINUE
        return self.PAUSE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Note a trial that has ended; its scores stay in the rungs."""
        self._complete += self._score(result) is not None and result.get(self._time_attr, 0) >= self.max_fidelity
        self._forget(trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Note a trial that has failed; its scores stay in the rungs."""
        self._forget(trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Note a trial that was stopped while it did not run; its scores stay in the rungs."""
        self._forget(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the trial that is promoted, or else a new one, or None; stop those that are paused when the search is over."""
        trials: Sequence[Any] = tune_controller.get_trials()
        waiting = {trial.trial_id: trial for trial in trials if trial.status == _PAUSED}
        new = [trial for trial in trials if trial.status == _PENDING]
        if self._chosen is not None:  # Tune asks several times until the trial runs
            for trial in (*waiting.values(), *new):
                if trial.trial_id == self._chosen:
                    return trial
            self._chosen = None
        if found := self._promotable(waiting):
            return waiting[self._promote(*found)]
        if new:
            return new[0]
        if not waiting or any(trial.status == _RUNNING for trial in trials):
            return None
        over = tune_controller.search_alg.is_finished()
        if over and self._complete:
            for name, trial in waiting.items():
                rung = self._rungs[self._passed[name] - 1]
                self.reasons[name] = f"{self._standing(rung, name)}; the search has ended"
                tune_controller.stop_trial(trial)
            return None
        found = self._best_of_highest(waiting)
        if found is None:  # paused by others before its first rung
            return next(iter(waiting.values()))
        why = "no candidate is complete yet" if over else "nothing else could run"
        chosen = self._promote(*found)
        self.reasons[chosen] = f"{self._place(found[0], chosen)}; goes on, as {why}"
        return waiting[chosen]

    def debug_string(self) -> str:
        """Return the number of trials at each rung."""
        counts = ", ".join(f"{len(rung)} at {rung.milestone} ({len(rung.gone_on)} went on)" for rung in self._rungs)
        return f"Promotion: {counts}; {self._complete} complete."

    def _score(self, result: dict[str, Any]) -> float | None:
        """Return the score of a result, higher is better; None if there is no finite one."""
        value = result.get(self._metric) if self._metric else None
        if value is None or not math.isfinite(value):
            return None
        return float(value) if self._mode == "max" else -float(value)

    def _level(self, trial: str, fidelity: float) -> int | None:
        """Return the highest rung that a trial has come to now; None if it has come to no new one."""
        new = [
            level for level, rung in enumerate(self._rungs) if level >= self._passed.get(trial, 0) and fidelity >= rung.milestone
        ]
        return new[-1] if new else None

    def _promotable(self, waiting: Any) -> tuple[_Rung, str] | None:
        """Return the best trial of the highest rung that may go on, and the rung."""
        for rung in reversed(self._rungs):
            for trial in rung.best(self._quota(rung)):
                if trial in waiting and trial not in rung.gone_on and self._rungs[self._passed[trial] - 1] is rung:
                    return rung, trial
        return None

    def _best_of_highest(self, waiting: Any) -> tuple[_Rung, str] | None:
        for rung in reversed(self._rungs):
            for trial in rung.best():
                if trial in waiting and self._rungs[self._passed[trial] - 1] is rung:
                    return rung, trial
        return None

    def _promote(self, rung: _Rung, trial: str) -> str:
        rung.gone_on.add(trial)
        self._chosen = trial
        self.reasons[trial] = self._standing(rung, trial)
        return trial

    def _quota(self, rung: _Rung) -> int:
        return int(len(rung) / self.reduction_factor)

    def _place(self, rung: _Rung, trial: str) -> str:
        return f"{ordinal(rung.rank(trial))} of {len(rung)} at {amount(rung.milestone, self._fidelity_name)}"

    def _standing(self, rung: _Rung, trial: str) -> str:
        quota = self._quota(rung)
        goes = "none goes on yet" if quota == 0 else "the best goes on" if quota == 1 else f"the best {quota} go on"
        return f"{self._place(rung, trial)}; {goes}"

    def _forget(self, trial: Any) -> None:
        if self._chosen == trial.trial_id:
            self._chosen = None


def _milestones(max_fidelity: int, grace_period: int, reduction_factor: float) -> list[int]:
    """Return the fidelities of the rungs below the last: grace_period * eta^k, rounded, each once."""
    found: list[int] = []
    fidelity = float(grace_period)
    while round(fidelity) < max_fidelity:
        if not found or round(fidelity) > found[-1]:
            found.append(round(fidelity))
        fidelity *= reduction_factor
    return found
