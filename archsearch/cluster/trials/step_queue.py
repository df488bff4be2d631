"""The candidates in hand under a scheduler: which of them runs next, and what a score after some steps leads to."""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ray.tune.schedulers import HyperBandScheduler, TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster.ledger.rungs import ENDED, RungAction, RungEvent, RungLog, candidates_in_hand
from archsearch.cluster.schedulers.offline import ScheduledTrials
from archsearch.cluster.trials.step_trial import StepTask
from archsearch.cluster.trials.trial import outcome_of
from archsearch.errors import ConfigurationError
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS
from archsearch.spaces import Architecture

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_TRIMS = 10.0
_KNOWN = "its complete evaluation was known before"


class StepSearcher(Protocol):
    """What a queue asks of a searcher; it uses `reopen`, `simulate` and `holds_back` of `ArchitectureSearcher` if it has them."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next candidate."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take a score after some steps."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take the last outcome of a candidate."""


@dataclass(eq=False)
class _Candidate:
    """A candidate that was proposed.

    Args:
        number: Number of its batch.
        architecture: Its architecture.
        key: Its key.
        suggestion: What the searcher suggested.
        trial_id: Name under which the searcher knows it; None if the searcher has its outcome already.
        scores: Score after each number of steps, as far as it is known.
        metrics: Metrics after each number of steps, as far as they are known.
        evaluation: The partial evaluation of the most steps that is known.
        whole: The complete or failed evaluation, if it is known, and `reached`, the number of steps after which it was.
        reported: Number of steps of the last score that the scheduler has.
        state: `waiting` before it starts, `busy`, `paused` or `ended`.
        end: Virtual time of its next score, if the order is fixed.
        runs: Whether a trial of Tune evaluates it.
        segment: Number of trials of Tune that have begun, apart from those after a death.
        unnoted: Seconds that were paid since its last event.
        paid: Whether this process paid for a step.
        recorded: Fidelities of the partial evaluations that this run has in the ledger.
    """

    number: int
    architecture: Architecture
    key: str
    suggestion: dict[str, Any]
    trial_id: str | None
    scores: dict[int, float] = field(default_factory=dict)
    metrics: dict[int, Mapping[str, float]] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    whole: Evaluation | None = None
    reached: int = 0
    reported: int = 0
    state: str = "waiting"
    end: int = 0
    runs: bool = False
    segment: int = 0
    unnoted: float = 0.0
    paid: bool = False
    recorded: set[int] = field(default_factory=set)

    def learn(self, evaluation: Evaluation, fidelity: int, fidelities: Sequence[int]) -> None:
        """Take an evaluation at a fidelity, with the scores of the steps before, which led to `fidelities`."""
        curve = evaluation.curves.get(STEP_SCORES, ())
        whole = evaluation.fidelity is None or not evaluation.ok
        before = zip(fidelities, curve, strict=False)
        self.scores |= {each: score for each, score in before if each < fidelity and math.isfinite(score)}
        if whole:
            self.whole, self.reached = replace(evaluation, fidelity=None), fidelity
            return
        self.scores[fidelity], self.metrics[fidelity] = evaluation.score, evaluation.metrics
        if self.evaluation is None or self.evaluation.fidelity is None or self.evaluation.fidelity <= fidelity:
            self.evaluation = evaluation

    def after(self, fidelity: int, fidelities: Sequence[int]) -> Evaluation:
        """Return the evaluation at a fidelity whose score is known."""
        if self.evaluation is not None and self.evaluation.fidelity == fidelity:
            return self.evaluation
        longer = self.evaluation if self.evaluation is not None and (self.evaluation.fidelity or 0) > fidelity else self.whole
        metrics, curves, seconds = self.metrics.get(fidelity, {}), {}, 0.0
        if longer is not None:
            steps, kept = len(longer.curves.get(STEP_SCORES, ())), bisect_right(fidelities, fidelity)
            metrics = self.metrics.get(fidelity, longer.metrics)
            curves = {name: values[:kept] for name, values in longer.curves.items() if len(values) == steps}
            seconds = sum(curves.get(STEP_SECONDS, ()))
        return Evaluation(self.architecture, self.key, self.scores[fidelity], metrics, seconds, curves=curves, fidelity=fidelity)


class StepQueue(Searcher):
    """Suggests to Tune what runs next, and tells a scheduler and a searcher the scores.

    The scheduler sees trials of `ScheduledTrials`, one for each candidate, and never those of Tune. Here a trial of Tune is a
    stretch of the steps of a candidate: it ends where the candidate pauses, stops or has to wait for its turn, and another one
    goes on from the checkpoint. So paused candidates take no place of Tune's, the scheduler does not notice when a process dies,
    and it gets its rungs back after a stop by the same calls in the same order.

    With `ordered`, the order of scores is that of `workers` virtual workers, each of which takes one unit of time for a step: a
    score that comes before its turn waits until all earlier ones are there, however many real workers there are. Otherwise it
    is the order in which scores arrive.

    A candidate whose evaluation is known, complete or in part, gets the known scores at once. If it is complete and the order
    is not fixed, it counts as complete whatever the scheduler decides, since it costs nothing.

    Args:
        searcher: Searcher that suggests `{"batch": number, "candidates": [text]}`.
        scheduler: The scheduler, which must be new.
        task: What all candidates share.
        workers: Number of workers, virtual ones if `ordered`.
        ordered: Whether the order is fixed.
        known: Complete evaluations by key that are reused, with the failed ones of this run.
        on_rung: Called with each new event.
    """

    def __init__(
        self,
        searcher: StepSearcher,
        scheduler: TrialScheduler,
        task: StepTask,
        *,
        workers: int = 1,
        ordered: bool = False,
        known: Mapping[str, Evaluation] | None = None,
        on_rung: Callable[[RungEvent], None] | None = None,
    ) -> None:
        super().__init__(metric="score", mode="max")
        evaluator, ledger, run = task.evaluator, task.ledger(), task.run
        self._searcher, self._evaluator, self._ledger, self._run = searcher, evaluator, ledger, run
        self._checkpoints, self._workers, self._ordered = task.store(), workers, ordered
        self._fidelities, self._reports = task.fidelities, task.reports
        self._known = {} if known is None else known
        self._on_rung = on_rung
        self._most = evaluator.max_fidelity
        self._trials = ScheduledTrials(scheduler, evaluator.fidelity_name)
        self._ahead = isinstance(scheduler, HyperBandScheduler)
        self._candidates: dict[int, _Candidate] = {}
        self._busy: dict[int, _Candidate] = {}
        self._best: _Candidate | None = None
        self._by_trial: dict[str, _Candidate] = {}
        self._waiting: _Candidate | None = None
        self._restarts: deque[_Candidate] = deque()
        self._asked = self._order = self._now = 0
        self._trimmed = time.monotonic()
        self._log = RungLog(ledger, run)
        self._events = self._log.read()
        self._noted = self._events[-1].order + 1 if self._events else 0
        self._scored: dict[int, list[RungEvent]] = {}
        for event in self._events:
            if event.has_score and event.action != "COMPLETE":
                self._scored.setdefault(event.trial, []).append(event)
        self._partial: dict[str, Evaluation] = {}
        self._recorded: dict[str, set[int]] = {}
        self._read_partial(task.reuse)
        if ordered:
            # The order of outcomes does not depend on the speed of workers, so that the searcher need not wait for any.
            vars(searcher)["holds_back"] = False
            if simulate := getattr(searcher, "simulate", None):
                simulate(workers)
        elif self._events:
            self._restore()

    # Called by Tune

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the stretch of a candidate that runs next, None if all wait, or `FINISHED` when there is none."""
        self._advance(fill=True)
        candidate = self._needed()
        if candidate is None:
            return None if self._in_hand() else Searcher.FINISHED
        candidate.runs = True
        candidate.segment += 1
        self._by_trial[trial_id] = candidate
        return {**candidate.suggestion, "reported": candidate.reported, "segment": candidate.segment}

    def take(self, result: dict[str, Any]) -> bool:
        """Take the report of a trial of Tune, without its evaluation then; return whether the trial ends."""
        candidate, evaluation = self._candidates[result["trial"]], result.pop("evaluation")
        candidate.unnoted += result["paid_seconds"]
        candidate.paid = candidate.paid or result["paid_seconds"] > 0.0
        candidate.learn(evaluation, result["fidelity"], self._fidelities)
        self._advance(fill=self._ordered)
        if candidate.state == "busy" and self._score_of(candidate) is None:
            return False
        candidate.runs = False
        return True

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Ignore it: `take` has got it."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note that a trial of Tune has ended."""
        if candidate := self._by_trial.pop(trial_id, None):
            candidate.runs = False

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Return True: the metric is always `score`, higher is better."""
        return True

    def save(self, checkpoint_path: str) -> None:
        """Save the searcher's state; that of the queue is in the ledger."""
        if isinstance(self._searcher, Searcher):
            self._searcher.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Restore the searcher's state."""
        if isinstance(self._searcher, Searcher):
            self._searcher.restore(checkpoint_path)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it and never reads it

    # The end

    def close(self) -> None:
        """Record what was paid for the candidates in hand; a resumed run goes on with them.

        Raises:
            LedgerError: The ledger cannot be written.
        """
        for candidate in self._candidates.values():
            if candidate.state != "ended" and candidate.paid and candidate.evaluation is not None:
                self._record(candidate, candidate.evaluation)
        self._log.write()
        self._trim(now=True)

    # The order of things

    def _in_hand(self) -> bool:
        return any(candidate.state != "ended" for candidate in self._candidates.values())

    def _needed(self) -> _Candidate | None:
        """Return the candidate that a worker should evaluate next."""
        open_ones = (each for each in self._busy.values() if not each.runs and self._score_of(each) is None)
        return min(open_ones, key=lambda each: (each.end, each.number), default=None)

    def _advance(self, fill: bool) -> None:
        """Give the scheduler the scores that are there, in their order, and start candidates on free workers."""
        while True:
            if self._ordered:
                while len(self._busy) < self._workers and self._fill():
                    pass
                first = min(self._busy.values(), key=lambda each: (each.end, each.number), default=None)
                scored = first if first is not None and self._score_of(first) is not None else None
            else:
                scored = next((each for each in self._busy.values() if self._score_of(each) is not None), None)
            if scored is not None:
                self._deliver(scored)
            elif self._ordered or not fill or self._needed() or len(self._busy) >= self._workers or not self._fill():
                return

    def _fill(self) -> bool:
        """Start or resume a candidate on a free worker; return whether there was one."""
        if self._restarts:
            return self._begin(self._restarts.popleft())
        while True:
            number = self._trials.runnable(new=self._waiting is not None or not self._trials.no_more)
            if number is None and self._waiting is None and not self._trials.no_more:
                self._waiting = self._propose()
                if self._waiting is None:
                    number = self._trials.runnable()
            self._end_stopped()
            if number is not None:
                return self._resume(self._candidates[number])
            if self._waiting is not None:
                candidate, self._waiting = self._waiting, None
                self._add(candidate)
                return self._begin(candidate)
            if self._busy or not (paused := [each for each in self._candidates.values() if each.state == "paused"]):
                return False
            # Nothing else can run, and the scheduler resumes none: it waits for results that will never come.
            worst = min(paused, key=lambda each: (each.reported, each.scores[each.reported], -each.number))
            self._trials.ended(worst.number)
            self._end_paused(worst, "nothing else could run, and the scheduler resumed none of those that were paused")

    def _propose(self) -> _Candidate | None:
        """Return the searcher's next candidate, or None if it has none now."""
        self._asked += 1
        trial_id = f"candidate{self._asked:06d}"
        suggestion = self._searcher.suggest(trial_id)
        if suggestion == Searcher.FINISHED:
            self._trials.no_more = True
        return self._taken(suggestion, trial_id) if isinstance(suggestion, dict) else None

    def _taken(self, suggestion: dict[str, Any], trial_id: str | None) -> _Candidate:
        if len(suggestion["candidates"]) != 1:
            raise ConfigurationError(
                f"batch_size: expected 1 with a scheduler, which stops candidates one by one; got "
                f"{len(suggestion['candidates'])}. Leave it out."
            )
        space, number = self._evaluator.space, suggestion["batch"]
        architecture = space.parse(suggestion["candidates"][0])
        candidate = _Candidate(number, architecture, space.key(architecture), suggestion, trial_id)
        if partial := self._partial.get(candidate.key):
            candidate.learn(replace(partial, architecture=architecture), partial.fidelity or 0, self._fidelities)
        candidate.recorded |= self._recorded.get(candidate.key, set())
        if whole := self._known.get(candidate.key):
            steps = len(whole.curves.get(STEP_SCORES, ())) if whole.ok else 0
            reached = self._fidelities[min(steps, len(self._fidelities)) - 1]
            candidate.learn(replace(whole, architecture=architecture), reached, self._fidelities)
        for event in self._scored.get(number, []):
            if event.key == candidate.key:
                candidate.scores.setdefault(event.fidelity, event.score)
                candidate.metrics.setdefault(event.fidelity, event.metrics)
                candidate.paid = candidate.paid or event.seconds > 0.0
        self._candidates[number] = candidate
        return candidate

    def _add(self, candidate: _Candidate) -> None:
        """Let the scheduler know of a candidate; one that was added ahead of its start is known."""
        if candidate.state == "waiting":
            candidate.state = "added"
            self._trials.add(candidate.number)
            self._note(candidate, 0, math.nan, "START", "")
            self._log.write()  # else it would be lost if this process is killed

    def _begin(self, candidate: _Candidate) -> bool:
        candidate.state = "busy"
        self._busy[candidate.number] = candidate
        candidate.end = self._now + self._target(candidate) - candidate.reported
        return True

    def _resume(self, candidate: _Candidate) -> bool:
        reason = self._trials.reason(candidate.number)
        self._trials.resume(candidate.number)
        self._note(candidate, candidate.reported, math.nan, "RESUME", reason)
        return self._begin(candidate)

    def _target(self, candidate: _Candidate) -> int:
        """Return the number of steps after which the scheduler gets the next score of a candidate."""
        place = bisect_right(self._reports, candidate.reported)
        return self._reports[place] if place < len(self._reports) else self._most

    def _score_of(self, candidate: _Candidate) -> float | None:
        """Return the next score of a candidate if it is known; NaN if the evaluation has failed."""
        target = self._target(candidate)
        if target in candidate.scores and target < self._most:
            return candidate.scores[target]
        if candidate.whole is None:
            return None
        return candidate.whole.score if candidate.whole.ok else math.nan

    # Scores and decisions

    def _deliver(self, candidate: _Candidate) -> None:
        """Give the scheduler the next score of a candidate, and do what it decides."""
        if self._ahead and self._waiting is None and not self._trials.no_more:
            # HyperBand halves a bracket when all that are in it have come to its rung: as in Tune, the next one is in it already.
            self._waiting = self._propose()
            if self._waiting is not None:
                self._add(self._waiting)
        self._now = candidate.end if self._ordered else self._now
        target, whole = self._target(candidate), candidate.whole
        if target in candidate.scores and target < self._most:
            self._decide(candidate, target)
        elif whole is not None and whole.ok:
            candidate.reported = candidate.reached
            decision = self._trials.result(candidate.number, candidate.reached, whole.score, last=True)
            self._finish(candidate, whole, "COMPLETE", decision.reason)
        elif whole is not None:
            self._trials.ended(candidate.number)
            self._finish(candidate, whole, "FAIL", whole.error or "")
        self._end_stopped()
        self._trim()

    def _decide(self, candidate: _Candidate, fidelity: int) -> None:
        decision = self._trials.result(candidate.number, fidelity, candidate.scores[fidelity])
        candidate.reported = fidelity
        action, reason = decision.action, decision.reason
        evaluation = candidate.after(fidelity, self._fidelities)
        if action != "CONTINUE" and candidate.whole is not None and candidate.whole.ok and not self._ordered:
            self._note(candidate, fidelity, candidate.scores[fidelity], "CONTINUE", _KNOWN)
            if action == "PAUSE":
                self._trials.ended(candidate.number)
            candidate.reported = candidate.reached
            self._finish(candidate, candidate.whole, "COMPLETE", _KNOWN)
        elif action == "STOP":
            self._record(candidate, evaluation)
            self._finish(candidate, evaluation, "STOP", reason)
        else:
            if action == "PAUSE":
                self._record(candidate, evaluation)
                self._leave(candidate, "paused")
            else:
                candidate.end = self._now + self._target(candidate) - fidelity
            self._note(candidate, fidelity, candidate.scores[fidelity], action, reason)
            if candidate.trial_id is not None:
                outcome = self._outcome(candidate, evaluation)
                self._searcher.on_trial_result(candidate.trial_id, {**outcome, "paused": action == "PAUSE"})

    def _end_stopped(self) -> None:
        """End the paused candidates that the scheduler has stopped."""
        for number in self._trials.stopped():
            self._end_paused(self._candidates[number], self._trials.reason(number))

    def _end_paused(self, candidate: _Candidate, reason: str) -> None:
        if candidate.state == "ended":
            return
        if not candidate.reported:  # a scheduler may stop any candidate at any time
            failed = self._evaluator.failed(candidate.architecture, f"stopped before its first score: {reason}")
            self._finish(candidate, failed, "FAIL", reason)
            return
        evaluation = candidate.after(candidate.reported, self._fidelities)
        self._record(candidate, evaluation)
        self._finish(candidate, evaluation, "STOP", reason, score=math.nan)

    def _finish(
        self, candidate: _Candidate, evaluation: Evaluation, action: RungAction, reason: str, score: float | None = None
    ) -> None:
        self._leave(candidate, "ended")
        self._note(candidate, candidate.reported, evaluation.score if score is None else score, action, reason)
        if candidate.trial_id is not None:
            self._searcher.on_trial_complete(candidate.trial_id, result=self._outcome(candidate, evaluation))
        reached = (candidate.reported, evaluation.score)
        if evaluation.ok and (self._best is None or reached > (self._best.reported, self._best.scores[self._best.reported])):
            self._best, candidate.scores[candidate.reported] = candidate, evaluation.score
        candidate.evaluation = candidate.whole = None  # curves of thousands of candidates take memory
        candidate.metrics.clear()

    def _leave(self, candidate: _Candidate, state: str) -> None:
        candidate.state = state
        self._busy.pop(candidate.number, None)

    def _outcome(self, candidate: _Candidate, evaluation: Evaluation) -> dict[str, Any]:
        outcome = outcome_of([evaluation], candidate.suggestion.get("metrics", []))
        return {**outcome, "fidelities": [evaluation.fidelity], "reused": [not candidate.paid]}

    # Records

    def _record(self, candidate: _Candidate, evaluation: Evaluation) -> None:
        """Write a partial evaluation to the ledger, unless this run has it there."""
        fidelity = evaluation.fidelity or 0
        if fidelity not in candidate.recorded:
            [place] = candidate.suggestion.get("positions") or [0]
            self._ledger.append(self._run, candidate.number, [(place, evaluation)])
            candidate.recorded.add(fidelity)

    def _note(self, candidate: _Candidate, fidelity: int, score: float, action: RungAction, reason: str) -> None:
        metrics = {
            name: value
            for name in candidate.suggestion.get("metrics", [])
            if math.isfinite(value := candidate.metrics.get(fidelity, {}).get(name, math.nan))
        }
        seconds, candidate.unnoted = candidate.unnoted, 0.0
        event = RungEvent(
            *(self._order, candidate.number, candidate.key, str(candidate.architecture), fidelity, score, action, reason),
            seconds=seconds,
            metrics=metrics,
        )
        self._order += 1
        if event.order < self._noted:
            return  # the same decision as before the stop
        self._log.append(event)
        if self._on_rung is not None:
            self._on_rung(event)

    def _read_partial(self, reuse: bool) -> None:
        """Read the partial evaluations: the longest of each key, and the fidelities at which this run has recorded it."""
        for entry in self._ledger.partial():
            evaluation, own = entry.evaluation, entry.run == self._run
            if own:
                self._recorded.setdefault(evaluation.key, set()).add(evaluation.fidelity or 0)
            longest = self._partial.get(evaluation.key)
            if evaluation.ok and (own or reuse) and (longest is None or (longest.fidelity or 0) < (evaluation.fidelity or 0)):
                self._partial[evaluation.key] = evaluation

    def _trim(self, now: bool = False) -> None:
        """Keep the checkpoints below their limit, those in hand and that of the best candidate in any case."""
        if not now and time.monotonic() - self._trimmed < _SECONDS_BETWEEN_TRIMS:
            return
        self._trimmed = time.monotonic()
        protected = {each.key for each in self._candidates.values() if each.state != "ended"}
        self._checkpoints.trim(protected | ({self._best.key} if self._best else set()))

    # A run that is resumed

    def _restore(self) -> None:
        """Give the scheduler its rungs back, by the same calls in the same order, and take up the candidates in hand."""
        in_hand = candidates_in_hand(self._events)
        texts = {event.trial: event.architecture for event in self._events}
        reopened = self._reopened({number: texts[number] for number in in_hand})
        ended: set[int] = set()
        differs = 0
        for event in self._events:
            number = event.trial
            ended |= set(self._trials.stopped())
            if number in ended:
                continue
            if event.action == "START":
                self._trials.add(number)
            elif event.action == "RESUME":
                if self._trials.runnable(new=True) != number:
                    self._trials.runnable()
                self._trials.resume(number)
            elif event.action == "FAIL" or not event.has_score or (event.action == "COMPLETE" and event.reason == _KNOWN):
                self._trials.ended(number)
            else:
                decided = self._trials.result(number, event.fidelity, event.score, last=event.action == "COMPLETE").action
                differs += decided != event.action and event.action != "COMPLETE" and event.reason != _KNOWN
                if decided == "STOP":
                    ended.add(number)
                elif event.action in ENDED:
                    self._trials.ended(number)
            if event.action in ENDED:
                ended.add(number)
        ended |= set(self._trials.stopped())
        if differs:
            logger.warning("the scheduler decides otherwise than before the stop for %d scores; it goes on from there", differs)
        self._order = self._noted
        for number, event in in_hand.items():
            self._take_up(reopened[number], event, number in ended)

    def _reopened(self, texts: Mapping[int, str]) -> dict[int, _Candidate]:
        """Return the candidates in hand, which the searcher suggests again unless it has their outcomes."""
        reopen: Callable[[Sequence[tuple[int, Architecture]]], None] | None = getattr(self._searcher, "reopen", None)
        architectures = {number: self._evaluator.space.parse(text) for number, text in texts.items()}
        waits: set[int] = set()
        if reopen is not None:
            told = {row.evaluation.key for row in getattr(self._searcher, "history", ())}
            waits = {number for number, each in architectures.items() if self._evaluator.space.key(each) not in told}
            reopen([(number, architectures[number]) for number in sorted(waits)])
        candidates = {}
        for number in sorted(architectures):
            candidate = self._propose() if number in waits else None
            if candidate is None or candidate.number != number:
                suggestion = {"batch": number, "candidates": [texts[number]]}
                candidate = self._taken(suggestion, None)
            candidates[number] = candidate
        return candidates

    def _take_up(self, candidate: _Candidate, last: RungEvent, stopped: bool) -> None:
        """Go on with a candidate where it was at the stop."""
        candidate.reported = last.fidelity
        if stopped:
            self._end_paused(candidate, "the scheduler stops it now that it has its rungs back")
        elif last.action == "PAUSE":
            candidate.state = "paused"
            if candidate.trial_id is not None:
                outcome = self._outcome(candidate, candidate.after(last.fidelity, self._fidelities))
                self._searcher.on_trial_result(candidate.trial_id, {**outcome, "paused": True})
        else:
            candidate.state = "added"
            self._restarts.append(candidate)
