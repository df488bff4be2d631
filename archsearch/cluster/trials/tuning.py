"""Runs a searcher's batches as Ray Tune trials."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from archsearch import errors
from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.attempts import forget_attempts, processes_of
from archsearch.cluster.trials.retries import LostNodes, RetryingSearcher
from archsearch.cluster.trials.sending import sent
from archsearch.cluster.trials.trial import BatchTrial
from archsearch.evaluators.evaluator import Evaluator


@dataclass(frozen=True)
class TrialResources:
    """Resources that one trial reserves.

    Args:
        cpus: Number of CPU cores; may be a fraction.
        gpus: Number of GPUs; may be a fraction.
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
    """Run batches by Ray Tune until the searcher has finished, the time is up, or Ctrl-C is pressed.

    Args:
        searcher: Searcher that suggests `{"batch": number, "candidates": [text, ...]}`.
        evaluator: Evaluator of the candidates, in the trials' processes.
        ledger: Folder of all ledgers.
        run: Name of the run, for the ledger.
        folder: Folder for Tune's files.
        workers: Number of trials at once.
        resources: Resources of each trial.
        seconds: Time limit in seconds, at which running trials are stopped; None is no limit.
        callbacks: Tune callbacks.

    Raises:
        ConfigurationError: The evaluator cannot be pickled.
        LedgerError: The ledger cannot be read or written, here or in a worker.
        ArchSearchError: A worker raised it; it would fail all candidates.
    """
    errors.check_kind("searcher", searcher, Searcher, "a searcher, such as RandomSearch(space)")
    errors.check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TabularEvaluator.embedded('digits201')")
    records = Ledger(ledger, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)
    forget_attempts(records, run)
    broken = Broken()
    retrying = RetryingSearcher(searcher, partial(processes_of, records, run), broken.give_up)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a death is logged without Tune's tracebacks
    task = sent((evaluator, ledger, run), evaluator)
    trainable = tune.with_parameters(BatchTrial, task=[task])
    trainable = tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus})
    told = [*callbacks, LostNodes(retrying.node_lost)]
    # One more than run at once: a waiting trial takes over the process of one that ends. A single worker needs none.
    concurrent = workers + 1 if workers > 1 else 1
    run_tuner(trainable, retrying, folder, concurrent, seconds=seconds, stop=broken, callbacks=told)
    forget_attempts(records, run)
    if broken.error:
        raise broken.error


def run_tuner(
    trainable: Any,
    searcher: Searcher,
    folder: Path,
    concurrent: int,
    *,
    seconds: float | None,
    stop: tune.Stopper,
    callbacks: list[tune.Callback],
) -> None:
    """Run trials by Ray Tune until the searcher has finished, the time is up, or Ctrl-C is pressed.

    Args:
        trainable: The trainable.
        searcher: Searcher that suggests the trials' settings.
        folder: Folder for Tune's files.
        concurrent: Most trials that have begun and not ended, those that wait for a process included.
        seconds: Time limit in seconds; None is no limit.
        stop: Stops trials, or all of them.
        callbacks: Tune callbacks.
    """
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=concurrent,
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner.fit()


class Broken(tune.Stopper):
    """Stops all trials at an error that all would meet."""

    def __init__(self) -> None:
        self.error: errors.ArchSearchError | None = None

    def give_up(self, error: errors.ArchSearchError) -> None:
        """Stop with this error; the first one counts."""
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
