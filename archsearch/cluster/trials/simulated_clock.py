"""Runs a search of step-wise look-ups as asynchronous workers would, in simulated seconds, with or without a scheduler."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.schedulers.clock import ClockEvent, Step, run_clock
from archsearch.cluster.trials.trial import outcome_of
from archsearch.errors import ArchSearchError, check_kind
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.stepwise import EvaluationSteps, StepwiseEvaluator

_SECONDS_PER_WRITE = 1.0


class ClockSearcher(Protocol):
    """What `run_simulated_clock` asks of a searcher."""

    def simulate(self, workers: int) -> None:
        """Prepare for simulated workers: proposals must not depend on how long a fit takes."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next batch, of one candidate."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take the score of a candidate that may go on."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take the last outcome of a candidate."""


def run_simulated_clock(
    searcher: ClockSearcher,
    evaluator: StepwiseEvaluator,
    *,
    workers: int,
    scheduler: TrialScheduler | None = None,
    ledger: str | None = None,
    run: str = "simulated",
    known: Mapping[str, Evaluation] | None = None,
    seconds: float = math.inf,
    on_event: Callable[[ClockEvent], bool] | None = None,
) -> list[ClockEvent]:
    """Evaluate proposals until the searcher has finished, the simulated time is up, or Ctrl-C is pressed; return the course.

    Each step takes the seconds that the evaluator says it takes, as recorded in a benchmark table. Proposals and fits take no
    simulated time. The course depends on the searcher, the scheduler, the evaluator and the number of workers, and not on the
    machine: hundreds of searches with asynchronous workers are compared on one core.

    Args:
        searcher: Searcher that proposes one candidate at a time.
        evaluator: Evaluator of the candidates, in this process; `seconds` of its evaluations are those of all steps so far.
        workers: Number of simulated workers.
        scheduler: A new scheduler, as `schedulers.registry.get` returns it; None trains each candidate to the end.
        ledger: Folder of all ledgers; None records nothing.
        run: Name of the run, for the ledger.
        known: Complete evaluations by key that the ledger has; they take their time, but are not recorded again.
        seconds: Limit in simulated seconds, at which candidates in hand are stopped.
        on_event: Called with each event; True ends the search.

    Raises:
        ConfigurationError: An argument is of the wrong type, or `workers` is not a whole number of at least 1.
        LedgerError: The ledger cannot be written.
        RunError: The scheduler raised an error; what was evaluated is in the ledger.
        ArchSearchError: The evaluator raised it; it would fail all candidates.

    Example:
        >>> from archsearch import searchers
        >>> from archsearch.cluster import run_simulated_clock
        >>> from archsearch.cluster.schedulers import registry
        >>> from archsearch.evaluators import CurveTable
        >>> table = CurveTable.embedded("digits201")
        >>> searcher = searchers.RandomSearch(table.space, seed=0, num_candidates=20, batch_size=1)
        >>> scheduler = registry.get("promotion", max_fidelity=table.max_fidelity)
        >>> course = run_simulated_clock(searcher, table, workers=4, scheduler=scheduler)
        >>> sum(event.action == "COMPLETE" for event in course)
        2
    """
    check_kind("evaluator", evaluator, StepwiseEvaluator, "an evaluator that reports step by step, such as a table with curves")
    records = Ledger(ledger, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed) if ledger is not None else None
    searcher.simulate(workers)
    proposals = _Proposals(searcher, evaluator, records, run, known or {}, on_event)
    try:
        run_clock(
            proposals,
            scheduler,
            workers=workers,
            fidelity_name=evaluator.fidelity_name,
            seconds=seconds,
            enough=lambda: proposals.enough,
        )
    except KeyboardInterrupt:
        pass  # as Ray Tune does; the search is incomplete
    finally:
        proposals.write()
    return proposals.course


class _Proposals:
    """The candidates of a searcher, and their evaluations."""

    def __init__(
        self,
        searcher: ClockSearcher,
        evaluator: StepwiseEvaluator,
        ledger: Ledger | None,
        run: str,
        known: Mapping[str, Evaluation],
        on_event: Callable[[ClockEvent], bool] | None,
    ) -> None:
        self.course: list[ClockEvent] = []
        self.finished = self.enough = False
        self._searcher, self._evaluator, self._ledger, self._run = searcher, evaluator, ledger, run
        self._known, self._on_event = known, on_event
        self._suggestions: list[dict[str, Any]] = []
        self._steps: dict[int, EvaluationSteps] = {}
        self._last: dict[int, Evaluation] = {}
        self._unwritten: dict[int, list[tuple[int, Evaluation]]] = {}
        self._last_written = time.monotonic()

    def start(self, number: int) -> bool:
        suggestion = self._searcher.suggest(_trial_id(number))
        if not isinstance(suggestion, dict):
            self.finished = suggestion == Searcher.FINISHED
            return False
        self._suggestions.append(suggestion)
        [text] = suggestion["candidates"]
        self._steps[number] = self._evaluator.begin(self._evaluator.space.parse(text))
        return True

    def step(self, number: int) -> Step:
        steps, before = self._steps[number], self._last.get(number)
        try:
            evaluation = steps.step()
        except ArchSearchError:
            raise  # its cause is the evaluator's data or settings, not the candidate
        except Exception as error:
            evaluation = self._evaluator.failed(steps.architecture, f"{type(error).__name__}: {error}".removesuffix(": "))
        self._last[number] = evaluation
        seconds = max(0.0, evaluation.seconds - (before.seconds if before else 0.0))
        last = evaluation.ok and not evaluation.is_partial
        return Step(steps.fidelity, evaluation.score, seconds, last, failed=not evaluation.ok, evaluation=evaluation)

    def told(self, event: ClockEvent) -> None:
        assert event.evaluation is not None
        self.course.append(event)
        ended = event.action in ("STOP", "COMPLETE", "FAIL")
        if event.action != "RESUME":
            self._tell_searcher(event, event.evaluation, ended)
        if ended or event.action == "PAUSE":
            self._record(event.number, event.evaluation)
        if ended:
            self._steps.pop(event.number)
            self._last.pop(event.number, None)
        self.enough = self.enough or (self._on_event is not None and self._on_event(event))

    def _tell_searcher(self, event: ClockEvent, evaluation: Evaluation, ended: bool) -> None:
        suggestion = self._suggestions[event.number]
        outcome = {
            **outcome_of([evaluation], suggestion.get("metrics", [])),
            "fidelities": [evaluation.fidelity],
            "reused": [evaluation.key in self._known],
        }
        if ended:
            self._searcher.on_trial_complete(_trial_id(event.number), outcome)
        else:
            self._searcher.on_trial_result(_trial_id(event.number), {**outcome, "paused": event.action == "PAUSE"})

    def _record(self, number: int, evaluation: Evaluation) -> None:
        if self._ledger is None or evaluation.key in self._known:
            return
        suggestion = self._suggestions[number]
        [place] = suggestion.get("positions") or [0]
        self._unwritten.setdefault(suggestion["batch"], []).append((place, evaluation))
        if time.monotonic() - self._last_written > _SECONDS_PER_WRITE:
            self.write()

    def write(self) -> None:
        """Write the evaluations that are not written yet."""
        unwritten, self._unwritten, self._last_written = self._unwritten, {}, time.monotonic()
        if self._ledger is not None:
            for batch, evaluations in unwritten.items():
                self._ledger.append(self._run, batch, evaluations)


def _trial_id(number: int) -> str:
    return f"candidate{number:06d}"
