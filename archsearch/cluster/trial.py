"""The Ray Tune trial: it hands one batch of candidates to the evaluator and records what comes back."""

from __future__ import annotations

import time
from typing import Any

from ray import tune

from archsearch.cluster.ledger import Ledger
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator

# A part is written when so many seconds of evaluations have come together: little is lost by a kill, and parts stay few.
_SECONDS_PER_PART = 1.0


class BatchTrial(tune.Trainable):
    """A light, stateless trainable: one step evaluates the batch in `config` and is done.

    `config` holds `batch` (its number) and `candidates` (texts). What the ledger already has of this batch, because an earlier
    try was killed, is not evaluated again.
    """

    def setup(self, config: dict[str, Any], evaluator: Evaluator, storage: str, run: str) -> None:  # type: ignore[override]
        self.evaluator, self.run = evaluator, run
        self.ledger = Ledger(storage, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        # The process is kept for the next batch; nothing here depends on the last one.
        return True

    def step(self) -> dict[str, Any]:
        started = time.perf_counter()
        evaluations = evaluate_batch(self.evaluator, self.ledger, self.run, self.config["batch"], self.config["candidates"])
        good = [evaluation.score for evaluation in evaluations if evaluation.ok]
        return {
            "score": max(good, default=float("-inf")),
            "scores": [evaluation.score for evaluation in evaluations],
            "seconds": [evaluation.seconds for evaluation in evaluations],
            "errors": [evaluation.error for evaluation in evaluations],
            "batch_seconds": time.perf_counter() - started,
            "done": True,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Keep nothing: the ledger is the state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Restore nothing: the ledger is the state."""


def evaluate_batch(evaluator: Evaluator, ledger: Ledger, run: str, batch: int, candidates: list[str]) -> list[Evaluation]:
    """Return one evaluation for each candidate text, in order, recording each in the ledger before it counts."""
    results: dict[int, Evaluation] = {}
    for entry in ledger.entries(run, batch):
        if entry.position < len(candidates) and str(entry.evaluation.architecture) == candidates[entry.position]:
            results[entry.position] = entry.evaluation
    todo = [position for position in range(len(candidates)) if position not in results]
    unwritten: list[tuple[int, Evaluation]] = []
    size, last_written = 1, time.perf_counter()
    while todo:
        chunk, todo = todo[:size], todo[size:]
        started = time.perf_counter()
        evaluations = evaluator.evaluate([evaluator.space.parse(candidates[position]) for position in chunk])
        unwritten += zip(chunk, evaluations, strict=True)
        now = time.perf_counter()
        if now - last_written > _SECONDS_PER_PART or not todo:
            ledger.append(run, batch, unwritten)
            results.update(unwritten)
            unwritten, last_written = [], time.perf_counter()
        # Cheap candidates go in larger chunks, dear ones one by one.
        size = min(4 * size, 4096) if now - started < _SECONDS_PER_PART / 8 else max(1, size // 2)
    return [results[position] for position in range(len(candidates))]
