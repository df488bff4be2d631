"""The Ray Tune trial: it hands one batch of candidates to the evaluator and records what comes back."""

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
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.spaces import Architecture

# A part is written when so many seconds of evaluations have come together: little is lost by a kill, and parts stay few.
_SECONDS_PER_PART = 1.0
_LARGEST_CHUNK = 4096


class BatchTrial(tune.Trainable):
    """A light, stateless trainable: one step evaluates the batch in `config` and is done.

    `config` holds `batch` (its number), `candidates` (texts), and where they are needed `positions` (places of the candidates in
    the batch, if others of it were known) and `metrics` (names of those to report beside the score). What the ledger already has
    of this batch, because an earlier try was killed, is not evaluated again.

    An error that the next try would meet again is reported as `broken`, for `run_trials` to stop the search.
    """

    def setup(self, config: dict[str, Any], task: list[ray.ObjectRef[Any]]) -> None:  # type: ignore[override]
        # Nothing that may fail is done here: Tune would take it for the death of the process.
        [self._task] = task
        self._parts: tuple[Evaluator, Ledger, str] | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        # The process is kept for the next batch; nothing here depends on the last one.
        return True

    def step(self) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            evaluations = self._evaluations()
        except Exception as error:
            kind, text = type(error).__name__, str(error)
            return {"score": -math.inf, "broken": (kind, text), "done": True}
        good = [evaluation.score for evaluation in evaluations if evaluation.ok]
        return {
            "score": max(good, default=-math.inf),
            "scores": [evaluation.score for evaluation in evaluations],
            "seconds": [evaluation.seconds for evaluation in evaluations],
            "errors": [evaluation.error for evaluation in evaluations],
            "metrics": [
                [evaluation.metrics.get(name, math.nan) for evaluation in evaluations] for name in self.config.get("metrics", [])
            ],
            "batch_seconds": time.perf_counter() - started,
            "done": True,
        }

    def _evaluations(self) -> list[Evaluation]:
        if self._parts is None:
            evaluator, storage, run = ray.get(self._task)
            self._parts = evaluator, Ledger(storage, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed), run
        config = self.config
        positions, node_lost = config.get("positions"), config.get("node_lost", False)
        return evaluate_batch(*self._parts, config["batch"], config["candidates"], positions, node_lost)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keep nothing: the ledger is the state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Restore nothing: the ledger is the state."""


def evaluate_batch(
    evaluator: Evaluator,
    ledger: Ledger,
    run: str,
    batch: int,
    candidates: Sequence[str],
    positions: Sequence[int] | None = None,
    node_lost: bool = False,
) -> list[Evaluation]:
    """Return one evaluation for each candidate text, in order, recording each in the ledger before it counts.

    What is about to be tried is noted beside the ledger. When the process dies, the next call for this batch finds what was
    recorded and what was tried. If it was one of several, candidates go one by one from then on; one that was alone in two
    processes that died is recorded as failed, and so is one at which the evaluator raises an exception. All others are
    evaluated.

    Args:
        evaluator: Scores the candidates.
        ledger: Where the evaluations go.
        run: Name of the run.
        batch: Number of the batch in the run.
        candidates: Texts of the architectures.
        positions: Place of each candidate in the batch; None counts from 0.
        node_lost: Whether the process before died with its node, which is no candidate's fault.

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
    """Evaluate what is to do, by its place in the batch: cheap candidates in chunks that grow, dear ones one by one."""
    rest, size = list(todo), 1
    while rest:
        chunk, rest = rest[:size], rest[size:]
        architectures = [todo[place] for place in chunk]
        note.begin(attempt, [str(architecture) for architecture in architectures])
        started = time.perf_counter()
        recorder.take(zip(chunk, _evaluate(evaluator, architectures), strict=True))
        cheap = time.perf_counter() - started < _SECONDS_PER_PART / 8
        size = 1 if attempt.one_by_one else min(4 * size, _LARGEST_CHUNK) if cheap else max(1, size // 2)
    recorder.write()


def _evaluate(evaluator: Evaluator, architectures: Sequence[Architecture]) -> list[Evaluation]:
    """Return one evaluation for each architecture; an exception costs only the one at which it is raised."""
    try:
        return evaluator.evaluate(architectures)
    except ArchSearchError:
        raise  # it is about the evaluator's data or settings, not about the candidate
    except Exception as error:
        if len(architectures) > 1:
            return [evaluation for architecture in architectures for evaluation in _evaluate(evaluator, [architecture])]
        return [evaluator.failed(architectures[0], f"{type(error).__name__}: {error}".removesuffix(": "))]


class _Recorder:
    """The outcomes of one batch by place, written to the ledger every second or so."""

    def __init__(self, ledger: Ledger, run: str, batch: int) -> None:
        self.results: dict[int, Evaluation] = {}
        self._ledger, self._run, self._batch = ledger, run, batch
        self._unwritten: list[tuple[int, Evaluation]] = []
        self._last_written = time.perf_counter()

    def take(self, evaluations: Iterable[tuple[int, Evaluation]]) -> None:
        """Add outcomes, each with its place in the batch."""
        self._unwritten += evaluations
        if time.perf_counter() - self._last_written > _SECONDS_PER_PART:
            self.write()

    def write(self) -> None:
        """Record what is not recorded yet; only then does it count."""
        self._ledger.append(self._run, self._batch, self._unwritten)
        self.results |= self._unwritten
        self._unwritten, self._last_written = [], time.perf_counter()
