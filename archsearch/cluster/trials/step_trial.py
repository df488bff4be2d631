"""The Ray Tune trial that evaluates one candidate step by step and saves its state after each step."""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray import tune

from archsearch.cluster.checkpoints import CheckpointStore
from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.trials.attempts import Attempt, AttemptNote
from archsearch.cluster.trials.trial import outcome_of
from archsearch.errors import ArchSearchError, ConfigurationError
from archsearch.evaluators.batch_outcome import checked_batch
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.stepwise import EvaluationSteps, StepwiseEvaluator
from archsearch.spaces import Architecture

logger = logging.getLogger(__name__)

CHECKPOINTS = "_checkpoints"
"""Folder of the checkpoints in that of all ledgers."""


@dataclass(frozen=True)
class StepTask:
    """What all candidates of a search share.

    Args:
        evaluator: The evaluator.
        storage: Folder of all ledgers.
        run: Name of the run.
        milestones: Fidelities at which the scheduler decides, in order; None for each.
        checkpoint_gb: Most gigabytes of checkpoints.
        reuse: Whether checkpoints of other runs are used, and are left to them.
    """

    evaluator: StepwiseEvaluator
    storage: str
    run: str
    milestones: Sequence[int] | None
    checkpoint_gb: float
    reuse: bool = True

    @property
    def fidelities(self) -> Sequence[int]:
        """The fidelities after each step of an evaluation."""
        return self.evaluator.fidelities or range(1, self.evaluator.max_fidelity + 1)

    @property
    def reports(self) -> tuple[int, ...]:
        """The fidelities at which the scheduler gets a score, in order: for each milestone the first step that comes to it."""
        steps = self.fidelities
        if self.milestones is None:
            return tuple(steps)
        found = {steps[place] for each in self.milestones if (place := bisect_left(steps, each)) < len(steps)}
        return tuple(sorted(found | {self.evaluator.max_fidelity}))

    def ledger(self) -> Ledger:
        """Return the ledger of the run."""
        evaluator = self.evaluator
        return Ledger(self.storage, evaluator.space, evaluator.fingerprint(), seed=evaluator.seed)

    def store(self) -> CheckpointStore:
        """Return the store of the checkpoints."""
        evaluator, root = self.evaluator, f"{self.storage.rstrip('/')}/{CHECKPOINTS}"
        root = root if self.reuse else f"{root}/_of-one-run/{self.run}"
        return CheckpointStore(root, evaluator.fingerprint(), evaluator.seed, self.checkpoint_gb)


class StepTrial(tune.Trainable):
    """A Ray Tune trainable that evaluates the candidate in `config` and reports at each milestone.

    `config` holds `batch` (its number), `candidates` (its text, alone), `metrics` (names of metrics to report beside the score),
    `reported` (the fidelity that was reported before), and `segment` (how often it was started, apart from deaths). Its state is
    in the checkpoints beside the ledger, not in those of Tune: the steps go on in memory if this process did the last one, else
    from the checkpoint, else from the first. A complete or failed evaluation is recorded in the ledger before it is reported.

    An error that a retry would meet again is reported as `broken`.
    """

    def setup(self, config: dict[str, Any], task: list[ray.ObjectRef[Any]]) -> None:  # type: ignore[override]
        # Nothing here may fail: Tune would take it for the death of the process.
        [self._task] = task
        self._worker: StepWorker | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        # Tune keeps the process for the next candidate.
        return True

    def step(self) -> dict[str, Any]:
        number = self.config["batch"]
        try:
            if self._worker is None:
                self._worker = StepWorker(ray.get(self._task))
            return self._worker.advance(self.config)
        except Exception as error:
            kind, text = type(error).__name__, str(error)
            return {"trial": number, "score": -math.inf, "broken": (kind, text), "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: the checkpoints beside the ledger are the state."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Restore nothing: the checkpoints beside the ledger are the state."""


@dataclass
class _Held:
    """The candidate that this process evaluates: its steps, the evaluation after the last one, and whether the next is noted."""

    batch: int
    segment: int
    steps: EvaluationSteps
    evaluation: Evaluation | None
    reported: int
    unreported: float = 0.0  # seconds of the steps since the last report, as far as this run did them
    noted: bool = False

    @property
    def fidelity(self) -> int:
        """Number of steps that are done."""
        return self.steps.fidelity


class StepWorker:
    """Evaluates candidates step by step, one at a time, in the process of a trial.

    Args:
        task: What all candidates share.
    """

    def __init__(self, task: StepTask) -> None:
        self._task, self._evaluator = task, task.evaluator
        self._ledger, self._store, self._reports = task.ledger(), task.store(), task.reports
        self._held: _Held | None = None

    def advance(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Do steps of the candidate up to the next milestone, and return the report.

        Args:
            config: As for `StepTrial`.

        Raises:
            ArchSearchError: Its cause is the evaluator's data or settings, or the storage, not the candidate.
        """
        number, segment = config["batch"], config.get("segment", 0)
        held = self._held
        if held is None or (held.batch, held.segment) != (number, segment):
            begun = self._begin(config)
            if isinstance(begun, Evaluation):  # it was recorded before a death, or has failed
                self._held = None
                return self._report(config, begun, 0.0, self._reached(begun))
            held = self._held = begun
        while not self._must_report(held):
            if not held.noted and (why := self._blame(held)):
                held.evaluation = self._evaluator.failed(held.steps.architecture, why)
                return self._finish(config, held)
            started = time.perf_counter()
            held.evaluation = self._step(held)
            held.unreported += time.perf_counter() - started
            if held.evaluation.fidelity is None or not held.evaluation.ok:
                return self._finish(config, held)
            self._save(held)
        assert held.evaluation is not None
        held.reported, paid, held.unreported = held.fidelity, held.unreported, 0.0
        evaluation = held.evaluation
        if self._task.milestones is not None:  # else it would be measured after each step
            evaluation = held.steps.with_report_metrics(evaluation)
        return self._report(config, evaluation, paid, held.fidelity)

    def _begin(self, config: Mapping[str, Any]) -> _Held | Evaluation:
        """Return the candidate as far as it was evaluated, or its evaluation if it is recorded or must not be tried again."""
        number, segment, reported = config["batch"], config.get("segment", 0), config.get("reported", 0)
        [text] = config["candidates"]
        architecture = self._evaluator.space.parse(text)
        self._note = AttemptNote(self._ledger, self._task.run, number)
        earlier = self._note.read()
        self._attempt = attempt = earlier or Attempt()
        # The checkpoint tells which step killed the process: the one after it.
        blames = attempt.trying == f"step#{segment}" and not config.get("node_lost", False)
        died = earlier is not None and attempt.trying in (None, f"step#{segment}", f"report#{segment}")
        if died and (recorded := [entry.evaluation for entry in self._ledger.entries(self._task.run, number)]):
            return recorded[0]
        if died or earlier is None:
            attempt.processes += 1
        held = self._kept(number, segment, reported) or self._loaded(number, segment, architecture, reported)
        if isinstance(held, Evaluation):
            return self._record(config, held)
        if blames:
            attempt.deaths[_step_name(held)] = attempt.deaths.get(_step_name(held), 0) + 1
        if blames or self._must_report(held):
            self._note.begin(attempt, [f"report#{segment}"])
        return held

    def _blame(self, held: _Held) -> str | None:
        """Return why the next step must not be tried again; else note that it is tried."""
        if why := self._attempt.verdict(_step_name(held)):
            return why
        self._note.begin(self._attempt, [f"step#{held.segment}"])
        held.noted = True
        return None

    def _kept(self, number: int, segment: int, reported: int) -> _Held | None:
        """Return the candidate from the memory of this process, if it did the last step that was reported."""
        held = self._held
        if held is None or held.batch != number or held.fidelity != reported:
            return None
        return replace(held, segment=segment, reported=reported, noted=False)

    def _loaded(self, number: int, segment: int, architecture: Architecture, reported: int) -> _Held | Evaluation:
        """Return the candidate from its checkpoint, or before its first step."""
        self._held = None  # the memory of the last candidate is free before that of this one is taken
        key = self._evaluator.space.key(architecture)
        steps = self._begun(architecture)
        if isinstance(steps, Evaluation):
            return steps
        found = self._store.load(key, reported)
        if found is not None:
            fidelity, state = found
            try:
                evaluation = _evaluation_of(state["evaluation"], architecture, key, fidelity)
                steps.load_state(state["steps"])
                own = state["run"] == self._task.run and fidelity > reported
                if steps.fidelity == fidelity:
                    return _Held(number, segment, steps, evaluation, reported, float(state["unreported"]) if own else 0.0)
                why = f"it holds {steps.fidelity} steps, not {fidelity}"
            except (ConfigurationError, LookupError, TypeError, ValueError, RuntimeError) as error:
                why = f"{type(error).__name__}: {error}"
            logger.warning("the checkpoint of %s cannot be used (%s); all its steps are paid again", architecture, why)
            steps = self._begun(architecture)
            if isinstance(steps, Evaluation):
                return steps
        return _Held(number, segment, steps, None, reported)

    def _begun(self, architecture: Architecture) -> EvaluationSteps | Evaluation:
        try:
            return self._evaluator.begin(architecture)
        except ArchSearchError:
            raise  # its cause is the evaluator's data or settings, not the candidate
        except Exception as error:
            return self._evaluator.failed(architecture, f"{type(error).__name__}: {error}".removesuffix(": "))

    def _step(self, held: _Held) -> Evaluation:
        """Do one step, and return the evaluation after it; an exception, or what is no evaluation, fails the candidate."""
        architecture, done = held.steps.architecture, held.fidelity
        try:
            [evaluation] = checked_batch(self._evaluator, [architecture], [held.steps.step()])
        except ArchSearchError:
            raise
        except Exception as error:
            return self._evaluator.failed(architecture, f"{type(error).__name__}: {error}".removesuffix(": "))
        if evaluation.ok and evaluation.is_partial and not done < evaluation.fidelity == held.fidelity:  # type: ignore[operator]
            why = f"fidelity: expected a number above {done}, that of the steps; got {evaluation.fidelity} of {held.fidelity}"
            return self._evaluator.failed(architecture, why)
        return evaluation

    def _must_report(self, held: _Held) -> bool:
        """Return whether the steps have come to a milestone that was not reported."""
        if held.evaluation is None or held.fidelity <= held.reported:
            return False
        return any(held.reported < each <= held.fidelity for each in self._reports)

    def _save(self, held: _Held) -> None:
        evaluation = held.evaluation
        assert evaluation is not None
        state = {
            **{"steps": held.steps.state(), "evaluation": _plain(evaluation)},
            **{"run": self._task.run, "unreported": held.unreported},
        }
        self._store.save(evaluation.key, held.fidelity, state, evaluation.score)

    def _finish(self, config: Mapping[str, Any], held: _Held) -> dict[str, Any]:
        """Record a complete or failed evaluation, whose checkpoint is not needed any more, and return its report."""
        assert held.evaluation is not None
        fidelity = max(held.fidelity, held.reported)
        evaluation = self._record(config, held.evaluation)
        self._held = None
        return self._report(config, evaluation, held.unreported, fidelity)

    def _record(self, config: Mapping[str, Any], evaluation: Evaluation) -> Evaluation:
        [place] = config.get("positions") or [0]
        whole = replace(evaluation, fidelity=None)
        self._ledger.append(self._task.run, config["batch"], [(place, whole)])
        self._store.delete(whole.key)
        return whole

    def _reached(self, evaluation: Evaluation) -> int:
        return self._evaluator.max_fidelity if evaluation.ok else 0

    def _report(self, config: Mapping[str, Any], evaluation: Evaluation, paid: float, fidelity: int) -> dict[str, Any]:
        done = evaluation.fidelity is None or not evaluation.ok
        return {
            **outcome_of([evaluation], config.get("metrics", [])),
            "fidelities": [evaluation.fidelity],
            "fidelity": fidelity,
            "training_iteration": fidelity,
            "trial": config["batch"],
            "evaluation": evaluation,
            "paid_seconds": paid,
            "done": done,
        }


def _step_name(held: _Held) -> str:
    """Return the name of the next step of a candidate, for the notes of deaths."""
    return f"{held.steps.architecture} after {held.fidelity}"


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    """Return what a checkpoint keeps of an evaluation, as plain data."""
    return {
        "score": evaluation.score,
        "metrics": dict(evaluation.metrics),
        "seconds": evaluation.seconds,
        "curves": {name: list(values) for name, values in evaluation.curves.items()},
    }


def _evaluation_of(row: Mapping[str, Any], architecture: Architecture, key: str, fidelity: int) -> Evaluation:
    """Return the evaluation that a checkpoint keeps."""
    return Evaluation(
        architecture,
        key,
        row["score"],
        row["metrics"],
        row["seconds"],
        curves={name: tuple(values) for name, values in row["curves"].items()},
        fidelity=fidelity,
    )
