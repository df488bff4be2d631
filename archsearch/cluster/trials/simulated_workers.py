"""Runs a search of look-ups as a number of workers would, each candidate of which takes equally long."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.trial import evaluate_each, outcome_of
from archsearch.errors import check_kind, check_whole_number
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.spaces import Architecture


class SimulatedSearcher(Protocol):
    """What `run_simulated` asks of a searcher."""

    def simulate(self, workers: int) -> None:
        """Prepare for simulated workers: proposals must not depend on how long a fit takes."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next batch."""

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Take the outcome of a batch."""


def run_simulated(
    searcher: SimulatedSearcher,
    evaluator: Evaluator,
    *,
    ledger: str,
    run: str,
    workers: int,
    known: Mapping[str, Evaluation],
    seconds: float | None = None,
) -> None:
    """Evaluate proposals until the searcher has finished, the time is up, or Ctrl-C is pressed.

    With n workers the searcher is told the outcome of a proposal after n - 1 further proposals, or earlier if it waits for it.
    So the delay is the same for all searchers, however fast look-ups, fits and the machine are, and whatever the ledger holds.

    Args:
        searcher: Searcher that proposes one candidate at a time.
        evaluator: Evaluator of the candidates, in this process.
        ledger: Folder of all ledgers.
        run: Name of the run, for the ledger.
        workers: Number of simulated workers, n.
        known: Evaluations by key that are reused; they are told as late as others.
        seconds: Time limit in seconds, at which proposals that are not told are given up; None is no limit.

    Raises:
        ConfigurationError: `workers` is not a whole number of at least 1.
        LedgerError: The ledger cannot be written.
        ArchSearchError: The evaluator raised it; it would fail all candidates.
    """
    check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TabularEvaluator.embedded('digits201')")
    check_whole_number("workers", workers)
    records = Ledger(ledger, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)
    searcher.simulate(workers)
    started, proposed, told = time.monotonic(), 0, deque[tuple[str, dict[str, Any]]]()
    try:
        while seconds is None or time.monotonic() - started < seconds:
            trial_id = f"proposal{proposed:06d}"
            suggestion = searcher.suggest(trial_id)
            if isinstance(suggestion, dict):
                told.append((trial_id, suggestion))
                proposed += 1
            elif not told:
                return
            if len(told) == workers or not isinstance(suggestion, dict):
                trial_id, suggestion = told.popleft()
                searcher.on_trial_complete(trial_id, _outcome(suggestion, evaluator, records, run, known))
    except KeyboardInterrupt:
        return  # as Ray Tune does; the search is incomplete


def _outcome(
    suggestion: Mapping[str, Any], evaluator: Evaluator, ledger: Ledger, run: str, known: Mapping[str, Evaluation]
) -> dict[str, Any]:
    """Return the outcome of a batch, from what is known or evaluated and recorded now."""
    architectures: list[Architecture] = [evaluator.space.parse(text) for text in suggestion["candidates"]]
    reused = [known.get(evaluator.space.key(architecture)) for architecture in architectures]
    new = [position for position, evaluation in enumerate(reused) if evaluation is None]
    made = dict(zip(new, evaluate_each(evaluator, [architectures[position] for position in new]), strict=True))
    ledger.append(run, suggestion["batch"], list(made.items()))
    evaluations = [made[position] if evaluation is None else evaluation for position, evaluation in enumerate(reused)]
    outcome = outcome_of(evaluations, suggestion.get("metrics", []))
    return {**outcome, "reused": [evaluation is not None for evaluation in reused]}
