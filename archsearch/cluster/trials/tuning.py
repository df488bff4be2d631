"""Running a searcher's batches as Ray Tune trials."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from archsearch import errors
from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.attempts import forget_attempts, processes_of
from archsearch.cluster.trials.retries import LostNodes, RetryingSearcher
from archsearch.cluster.trials.trial import BatchTrial
from archsearch.evaluators.evaluator import Evaluator


@dataclass(frozen=True)
class TrialResources:
    """What one trial reserves.

    Args:
        cpus: CPU cores, also fractions.
        gpus: GPUs, also fractions.
    """

    cpus: float = 1.0
    gpus: float = 0.0


def run_trials(
    searcher: Searcher,
    evaluator: Evaluator,
    *,
    ledger: str,
    run: str,
    folder: Path,
    workers: int,
    resources: TrialResources,
    seconds: float | None = None,
    callbacks: Sequence[tune.Callback] = (),
) -> None:
    """Let Ray Tune run batches until the searcher has finished, or the time is up, or Ctrl-C.

    Args:
        searcher: Suggests `{"batch": number, "candidates": [text, ...]}` and takes the outcomes.
        evaluator: Scores the candidates, in the trials' processes.
        ledger: Folder of all ledgers.
        run: Name of the run, for the ledger.
        folder: Where Tune keeps its own files.
        workers: Trials that run at once.
        resources: What each reserves.
        seconds: Time after which no trial goes on; None is no limit.
        callbacks: Told of each trial.

    Raises:
        LedgerError: The ledger cannot be read or written, here or in a worker.
        ArchSearchError: A worker cannot evaluate anything, for this reason.
    """
    errors.check_kind("searcher", searcher, Searcher, "a searcher, such as RandomSearch(space)")
    errors.check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TabularEvaluator.embedded('digits201')")
    records = Ledger(ledger, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)
    forget_attempts(records, run)
    broken = _Broken()
    retrying = RetryingSearcher(searcher, partial(processes_of, records, run), broken.give_up)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a death is no reason to show tracebacks
    task = ray.put((evaluator, ledger, run))
    trainable = tune.with_parameters(BatchTrial, task=[task])
    trainable = tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus})
    told = [*callbacks, LostNodes(retrying.node_lost)]
    tuner = _tuner(trainable, retrying, folder, workers, seconds=seconds, stop=broken, callbacks=told)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner.fit()
    forget_attempts(records, run)
    if broken.error:
        raise broken.error


def _tuner(
    trainable: Any,
    searcher: Searcher,
    folder: Path,
    workers: int,
    *,
    seconds: float | None,
    stop: tune.Stopper,
    callbacks: list[tune.Callback],
) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            # One more than run: a trial that waits takes over the process of the one that ends. A single worker needs none.
            max_concurrent_trials=workers + 1 if workers > 1 else 1,
            time_budget_s=seconds,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent.absolute()),
            verbose=0,
            stop=stop,
            callbacks=callbacks,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )


class _Broken(tune.Stopper):
    """Stops all trials because of an error that all would meet."""

    def __init__(self) -> None:
        self.error: errors.ArchSearchError | None = None

    def give_up(self, error: errors.ArchSearchError) -> None:
        """Stop for this reason, unless there is one already."""
        self.error = self.error or error

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        if "broken" in result:
            kind, text = result["broken"]
            known = getattr(errors, kind, None)
            self.give_up(known(text) if known else errors.RunError(f"the workers cannot go on: {kind}: {text}"))
        return False

    def stop_all(self) -> bool:
        return self.error is not None


def _trial_name(trial: Any) -> str:
    return f"batch{trial.config.get('batch', 0):06d}-{trial.trial_id}"
