"""The Ray Tune trial, which evaluates one batch of candidates and records the evaluations."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import ray
from ray import tune

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.attempts import Attempt, AttemptNote
from archsearch.errors import ArchSearchError, check_kind
from archsearch.evaluators.batch_outcome import checked_batch
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.spaces import Architecture

# Seconds between two ledger parts of a trial: a kill loses little, and parts stay few.
_SECONDS_PER_PART = 1.0
_LARGEST_CHUNK = 4096


class BatchTrial(tune.Trainable):
    """A stateless Ray Tune trainable whose single step evaluates the batch in `config`.

    `config` holds `batch` (its number), `candidates` (texts of architectures), and optionally `positions` (of the candidates in
    the batch, if the ledger answered others) and `metrics` (names of metrics to report beside the score). Evaluations that an
    earlier attempt recorded before it was killed are not repeated.

    An error that a retry would meet again is reported as `broken`, so that `run_trials` stops the search.
    """

    def setup(self, config: dict[str, Any], task: list[ray.ObjectRef[Any]]) -> None:  # type: ignore[override]
        # Nothing here may fail: Tune would take it for the death of the process.
        [self._task] = task
        self._parts: tuple[Evaluator, Ledger, str] | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        # Tune keeps the process for the next batch; no state depends on the last one.
        return True

    def step(self) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            outcome = outcome_of(self._evaluations(), self.config.get("metrics", []))
        except Exception as error:
            kind, text = type(error).__name__, str(error)
            return {"score": -math.inf, "broken": (kind, text), "done": True}
        return {**outcome, "batch_seconds": time.perf_counter() - started, "done": True}

    def _evaluations(self) -> list[Evaluation]:
        if self._parts is None:
            evaluator, storage, run = ray.get(self._task)
            self._parts = evaluator, Ledger(storage, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed), run
        evaluator, ledger, run = self._parts
        return evaluate_batch(
            evaluator,
            ledger,
            run,
            batch=self.config["batch"],
            candidates=self.config["candidates"],
            positions=self.config.get("positions"),
            node_lost=self.config.get("node_lost", False),
        )

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: the ledger is the state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Restore nothing: the ledger is the state."""


def outcome_of(evaluations: Sequence[Evaluation], metrics: Sequence[str]) -> dict[str, Any]:
    """Return the outcome of a batch as searchers take it: the best score, and scores, seconds, errors and metrics in order.

    Args:
        evaluations: The evaluations of the batch.
        metrics: Names of metrics to report beside the score.
    """
    good = [evaluation.score for evaluation in evaluations if evaluation.ok]
    return {
        "score": max(good, default=-math.inf),
        "scores": [evaluation.score for evaluation in evaluations],
        "seconds": [evaluation.seconds for evaluation in evaluations],
        "errors": [evaluation.error for evaluation in evaluations],
        "metrics": [[evaluation.metrics.get(name, math.nan) for evaluation in evaluations] for name in metrics],
    }


def evaluate_batch(
    evaluator: Evaluator,
    ledger: Ledger,
    run: str,
    batch: int,
    candidates: Sequence[str],
    positions: Sequence[int] | None = None,
    node_lost: bool = False,
) -> list[Evaluation]:
    """Return one evaluation for each candidate, in order, after recording it in the ledger.

    The candidates that are evaluated next are noted beside the ledger. When the process dies, the next call for this batch finds
    what was recorded and what was being evaluated. If several were, candidates are evaluated one by one from then on. A
    candidate that was alone in two processes that died is recorded as failed, as is one for which the evaluator raises.

    Args:
        evaluator: Evaluator of the candidates.
        ledger: Ledger that records the evaluations.
        run: Name of the run.
        batch: Number of the batch in the run.
        candidates: Texts of the architectures.
        positions: Position of each candidate in the batch; None counts from 0.
        node_lost: Whether the previous process died with its node, so that no candidate is blamed.

    Raises:
        ArchitectureError: A text is not of the evaluator's space.
        LedgerError: The ledger cannot be read or written.
    """
    check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TabularEvaluator.embedded('digits201')")
    check_kind("ledger", ledger, Ledger, "a Ledger")
    architectures = [evaluator.space.parse(text) for text in candidates]
    places = range(len(candidates)) if positions is None else positions
    todo = dict(zip(places, architectures, strict=True))
    note, recorder = AttemptNote(ledger, run, batch), _Recorder(ledger, run, batch)
    earlier = note.read()
    attempt = earlier or Attempt()
    if earlier:
        recorded = {str(entry.evaluation.architecture): entry.evaluation for entry in ledger.entries(run, batch)}
        recorder.results = {place: recorded[text] for place in places if (text := str(todo[place])) in recorded}
        todo = {place: architecture for place, architecture in todo.items() if place not in recorder.results}
        attempt.after_death({str(architecture) for architecture in todo.values()}, node_lost)
    given_up = {place: why for place, architecture in todo.items() if (why := attempt.verdict(str(architecture)))}
    recorder.take((place, evaluator.failed(todo.pop(place), why)) for place, why in given_up.items())
    attempt.processes += 1
    _evaluate_chunks(evaluator, todo, note, attempt, recorder)
    return [recorder.results[place] for place in places]


def _evaluate_chunks(
    evaluator: Evaluator, todo: Mapping[int, Architecture], note: AttemptNote, attempt: Attempt, recorder: _Recorder
) -> None:
    """Evaluate candidates by their position in the batch: cheap ones in growing chunks, expensive ones one by one."""
    rest, size = list(todo), 1
    while rest:
        chunk, rest = rest[:size], rest[size:]
        architectures = [todo[place] for place in chunk]
        note.begin(attempt, [str(architecture) for architecture in architectures])
        started = time.perf_counter()
        recorder.take(zip(chunk, evaluate_each(evaluator, architectures), strict=True))
        cheap = time.perf_counter() - started < _SECONDS_PER_PART / 8
        size = 1 if attempt.one_by_one else min(4 * size, _LARGEST_CHUNK) if cheap else max(1, size // 2)
    recorder.write()


def evaluate_each(evaluator: Evaluator, architectures: Sequence[Architecture]) -> list[Evaluation]:
    """Return one evaluation for each architecture; an exception, or what is no evaluation, fails only its architecture.

    Raises:
        ArchSearchError: Its cause is the evaluator's data or settings, not a candidate.
    """
    try:
        return checked_batch(evaluator, architectures, evaluator.evaluate(architectures))
    except ArchSearchError:
        raise  # its cause is the evaluator's data or settings, not the candidate
    except Exception as error:
        if len(architectures) > 1:
            return [evaluation for architecture in architectures for evaluation in evaluate_each(evaluator, [architecture])]
        return [evaluator.failed(architectures[0], f"{type(error).__name__}: {error}".removesuffix(": "))]


class _Recorder:
    """The evaluations of one batch by position, written to the ledger about every second."""

    def __init__(self, ledger: Ledger, run: str, batch: int) -> None:
        self.results: dict[int, Evaluation] = {}
        self._ledger, self._run, self._batch = ledger, run, batch
        self._unwritten: list[tuple[int, Evaluation]] = []
        self._last_written = time.perf_counter()

    def take(self, evaluations: Iterable[tuple[int, Evaluation]]) -> None:
        """Add evaluations, each with its position in the batch."""
        self._unwritten += evaluations
        if time.perf_counter() - self._last_written > _SECONDS_PER_PART:
            self.write()

    def write(self) -> None:
        """Write the evaluations that are not written yet; only then do they count as results."""
        self._ledger.append(self._run, self._batch, self._unwritten)
        self.results |= self._unwritten
        self._unwritten, self._last_written = [], time.perf_counter()
