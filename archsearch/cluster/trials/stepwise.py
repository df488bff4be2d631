"""Runs a searcher's candidates step by step as Ray Tune trials, under a scheduler that stops, pauses and resumes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from archsearch.cluster.ledger.rungs import RungEvent
from archsearch.cluster.schedulers.milestones import milestones
from archsearch.cluster.trials.attempts import forget_attempts, processes_of
from archsearch.cluster.trials.retries import LostNodes, RetryingSearcher
from archsearch.cluster.trials.sending import sent
from archsearch.cluster.trials.step_queue import StepQueue
from archsearch.cluster.trials.step_trial import StepTask, StepTrial
from archsearch.cluster.trials.tuning import Broken, TrialResources, run_tuner
from archsearch.errors import (
    ArchSearchError,
    ConfigurationError,
    RunError,
    check_kind,
    check_whole_number,
    message_in_one_line,
)
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.stepwise import StepwiseEvaluator

logger = logging.getLogger(__name__)


def run_stepwise(
    searcher: Searcher,
    evaluator: Evaluator,
    *,
    scheduler: TrialScheduler,
    ledger: str,
    run: str,
    folder: Path,
    workers: int,
    resources: TrialResources,
    seconds: float | None = None,
    callbacks: Sequence[tune.Callback] = (),
    checkpoint_gb: float = 10.0,
    deterministic: bool = False,
    lag: int = 4,
    known: Mapping[str, Evaluation] | None = None,
    reuse: bool = True,
    on_rung: Callable[[RungEvent], None] | None = None,
) -> None:
    """Evaluate candidates step by step until the searcher has finished, the time is up, or Ctrl-C is pressed.

    A run that was stopped or killed goes on when it is called again with a new searcher, which has replayed the outcomes so far
    (unless `deterministic`), and a new scheduler: the decisions are recorded beside the ledger, and the candidates in hand go on
    from their checkpoints. The outcome of a candidate is its complete evaluation, or the partial one with which it was stopped.

    Args:
        searcher: Searcher that suggests `{"batch": number, "candidates": [text]}`, one candidate at a time. It must not know the
            evaluations of the ledger itself: they are given as `known`.
        evaluator: Evaluator of the candidates, in the trials' processes.
        scheduler: A new scheduler of `ray.tune.schedulers`, which compares `score` at `fidelity`.
        ledger: Folder of all ledgers.
        run: Name of the run, for the ledger.
        folder: Folder for Tune's files.
        workers: Number of candidates that are evaluated at once.
        resources: Resources of each.
        seconds: Time limit in seconds, at which candidates in hand are left where they are; None is no limit.
        callbacks: Tune callbacks. A trial of Tune is a stretch of a candidate, from its start or a pause to the next one.
        checkpoint_gb: Most gigabytes of checkpoints.
        deterministic: Whether decisions must not depend on the speed and the number of workers: they are those of `lag` virtual
            workers that take equally long for each step. A run that goes on takes them again from the first, with known scores.
        lag: Number of virtual workers.
        known: Complete evaluations by key that are reused, with all outcomes of this run.
        reuse: Whether partial evaluations and checkpoints of other runs are reused.
        on_rung: Called with each new event: a start, a decision after a score, the end of a candidate.

    Raises:
        ConfigurationError: The evaluator cannot report after steps or cannot be pickled, or a suggestion has several candidates.
        LedgerError: The ledger cannot be read or written, here or in a worker.
        RunError: The scheduler raised an error; what was paid until then is in the ledger.
        ArchSearchError: A worker raised it; it would fail all candidates.
    """
    check_kind("searcher", searcher, Searcher, "a searcher, such as RandomSearch(space)")
    check_kind("scheduler", scheduler, TrialScheduler, "a scheduler of ray.tune.schedulers, such as ASHAScheduler(...)")
    check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TrainingEvaluator(space, 'digits')")
    if not isinstance(evaluator, StepwiseEvaluator):
        raise ConfigurationError(
            f"scheduler: the evaluator {type(evaluator).__name__} gives one score at the end, so no candidate can be stopped "
            "early. Leave the scheduler out, or take an evaluator that reports after each step, such as train:digits."
        )
    check_whole_number("workers", workers)
    check_whole_number("lag", lag)
    task = StepTask(evaluator, ledger, run, milestones(scheduler), checkpoint_gb, reuse)
    records, broken = task.ledger(), Broken()
    forget_attempts(records, run)
    queue = StepQueue(
        searcher,
        scheduler,
        task,
        workers=lag if deterministic else workers,
        ordered=deterministic,
        known=known,
        on_rung=on_rung,
    )
    guarded = _Guarded(queue, broken.give_up)
    retrying = RetryingSearcher(guarded, partial(processes_of, records, run), broken.give_up)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a death is logged without Tune's tracebacks
    trainable = tune.with_parameters(StepTrial, task=[sent(task, evaluator)])
    trainable = tune.with_resources(trainable, {"cpu": resources.cpus, "gpu": resources.gpus})
    told = [*callbacks, LostNodes(retrying.node_lost)]
    try:
        run_tuner(trainable, retrying, folder, workers, seconds=seconds, stop=_Reports(guarded, broken), callbacks=told)
    finally:
        queue.close()
    forget_attempts(records, run)
    if broken.error:
        raise broken.error


class _Guarded(Searcher):
    """Passes on what Tune asks of a queue; an error ends the search and not Tune.

    Args:
        queue: The queue.
        give_up: Called with the error.
    """

    def __init__(self, queue: StepQueue, give_up: Callable[[ArchSearchError], None]) -> None:
        super().__init__(metric=queue.metric, mode=queue.mode)
        self._queue, self._give_up = queue, give_up
        self._failed = False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return what runs next."""
        suggestion: dict[str, Any] | str | None = self._guarded(partial(self._queue.suggest, trial_id), Searcher.FINISHED)
        return suggestion

    def take(self, result: dict[str, Any]) -> bool:
        """Take a report; return whether its trial ends."""
        return bool(self._guarded(partial(self._queue.take, result), True))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Ignore it: `take` has got it."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note that a trial has ended."""
        self._guarded(partial(self._queue.on_trial_complete, trial_id, result, error), None)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles it for `Tuner.restore`. A search goes on from the ledger instead, and evaluators may be large.
        return {**self.__dict__, "_queue": None, "_give_up": None}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Return True: the metric is always `score`, higher is better."""
        return True

    def save(self, checkpoint_path: str) -> None:
        """Save the searcher's state."""
        self._queue.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        """Restore the searcher's state."""
        self._queue.restore(checkpoint_path)

    def _guarded(self, call: Callable[[], Any], otherwise: Any) -> Any:
        if self._failed:
            return otherwise
        try:
            return call()
        except ArchSearchError as error:
            self._give_up(error)
        except Exception as error:
            logger.exception("the search cannot go on")
            self._give_up(RunError(f"the search cannot go on: {type(error).__name__}: {message_in_one_line(error, 200)}"))
        self._failed = True
        return otherwise


class _Reports(tune.Stopper):
    """Gives the reports of trials to a queue before anyone else has them, and ends the trials that it does not let go on."""

    def __init__(self, guarded: _Guarded, broken: Broken) -> None:
        self._guarded, self._broken = guarded, broken

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        if "broken" in result:
            return self._broken(trial_id, result)
        return self._guarded.take(result)

    def stop_all(self) -> bool:
        return self._broken.stop_all()
