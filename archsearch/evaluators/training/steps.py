"""The training of one candidate as an evaluation in steps, one epoch each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators.devices import cpu_threads, device_named, failure_text
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.latency import latency_figures
from archsearch.evaluators.saved_state import check_identity, taking_over
from archsearch.evaluators.score_objective import unreachable
from archsearch.evaluators.stepwise import STEP_SCORES, STEP_SECONDS, EvaluationSteps
from archsearch.evaluators.training.figures import CandidateFigures, Figures, curve_names
from archsearch.evaluators.training.loop import Training, TrainingDiverged
from archsearch.evaluators.training.scoring import Score, exit_scores
from archsearch.evaluators.training.task import TrainingTask
from archsearch.spaces import Architecture

_log = logging.getLogger(__name__)


class TrainingSteps(EvaluationSteps):
    """Trains a candidate epoch by epoch, and scores it on the validation images after each.

    The network is built, and the images loaded, at the first step. Latency is measured once, in the first step; the test images
    are scored after the last step, and where `with_report_metrics` asks for it.

    Args:
        architecture: The candidate.
        task: What the training depends on.
        fingerprint: Returns the fingerprint of the evaluator, for saved states.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import TrainingEvaluator
        >>> space = spaces.get("nasbench201")
        >>> cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
        >>> evaluator = TrainingEvaluator(space, "digits", epochs=2, scale={"channels": 2, "cells_per_stage": 1})
        >>> steps, others = evaluator.begin(cell), evaluator.begin(cell)
        >>> steps.step().fidelity
        1
        >>> others.load_state(steps.state())
        >>> others.step().score == steps.step().score == evaluator.evaluate([cell])[0].score
        True
    """

    def __init__(self, architecture: Architecture, task: TrainingTask, fingerprint: Callable[[], str]) -> None:
        super().__init__(architecture)
        self._task, self._fingerprint = task, fingerprint
        self._key = task.space.key(architecture)
        self._figures = CandidateFigures(task, architecture)
        self._training: Training | None = None
        self._curves: dict[str, list[float]] = {name: [] for name in (*curve_names(task), STEP_SCORES, STEP_SECONDS)}
        self._latency: Figures = ({}, {})
        self._failure: Evaluation | None = None

    def step(self) -> Evaluation:
        task = self._task
        if self.fidelity >= task.recipe.epochs:
            raise ConfigurationError(f"step: all {self.fidelity} epochs are done; begin a new evaluation.")
        if self._failure is not None:
            return self._failure
        started = time.perf_counter()
        if reason := self._obstacle():
            return self._failed(reason, time.perf_counter() - started)
        try:
            with cpu_threads(task.threads):
                metrics, curves = self._epoch()
        except DatasetError:
            raise  # no candidate could be trained: this is not the candidate's fault
        except TrainingDiverged as error:
            return self._failed(str(error), time.perf_counter() - started)
        except Exception as error:  # whatever one candidate does must not cost the batch
            return self._failed(failure_text(error), time.perf_counter() - started)
        score = task.objective.score(metrics)
        now = {**metrics, STEP_SCORES: score, STEP_SECONDS: time.perf_counter() - started}
        for name, values in self._curves.items():
            values.append(now[name])
        fidelity = None if self.fidelity >= task.recipe.epochs else self.fidelity
        seconds = sum(self._curves[STEP_SECONDS])
        return Evaluation(
            self.architecture, self._key, score, metrics, seconds, None, {**self._epoch_curves(), **curves}, fidelity
        )

    def with_report_metrics(self, evaluation: Evaluation) -> Evaluation:
        training = self._training
        if not self._task.report_test or not evaluation.is_partial or not evaluation.ok or training is None:
            return evaluation  # a complete one has them
        try:
            with cpu_threads(self._task.threads), training.averaged():
                metrics, curves = self._figures.test(self._scores("test", training))
        except Exception as error:  # the score is there, whatever happens here
            _log.warning("the test images of %s could not be scored: %s", self._key, failure_text(error))
            return evaluation
        return replace(evaluation, metrics={**evaluation.metrics, **metrics}, curves={**evaluation.curves, **curves})

    def state(self) -> dict[str, Any]:
        with cpu_threads(self._task.threads):
            training = None if self._training is None else _copied(self._training.state())
        return {
            **self._identity(),
            "epoch": self.fidelity,
            "training": training,
            "curves": {name: list(values) for name, values in self._curves.items()},
            "latency": [dict(self._latency[0]), {name: list(values) for name, values in self._latency[1].items()}],
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        check_identity(state, self._identity(), "Begin this evaluation anew.")
        with taking_over("evaluation"):
            epoch, saved = int(state["epoch"]), state["training"]
            curves = {name: [float(value) for value in state["curves"][name]] for name in self._curves}
            metrics, exits = state["latency"]
            latency: Figures = (dict(metrics), {name: tuple(values) for name, values in exits.items()})
            if (epoch == 0) != (saved is None) or any(len(values) != epoch for values in curves.values()):
                raise ValueError(f"it has not the scores of {epoch} epochs")
        training = None
        if saved is not None:
            try:
                training = self._untrained()
            except DatasetError:
                raise
            except Exception as error:  # the fault of the candidate, which its next step tells
                self._curves, self.fidelity = curves, epoch
                self._failed(failure_text(error), 0.0)
                return
            with taking_over("evaluation"), cpu_threads(self._task.threads):
                training.load_state(_copied(saved))
                if training.epoch != epoch:
                    raise ValueError(f"its training is after {training.epoch} epochs, its scores after {epoch}")
        self._training, self._curves, self._latency = training, curves, latency
        self.fidelity = epoch

    def _epoch(self) -> Figures:
        """Train for one epoch, and return the figures after it."""
        task = self._task
        training = self._training = self._training or self._begun()
        images = task.images.part("train", device_named(task.device))
        training.run_epoch(images.images, images.labels)
        with training.averaged():
            metrics, curves = self._figures.validation(self._scores("validation", training))
            if training.finished and task.report_test:
                more, exits = self._figures.test(self._scores("test", training))
                metrics, curves = {**metrics, **more}, {**curves, **exits}
        self.fidelity = training.epoch
        return {**metrics, **self._figures.costs(self.fidelity), **self._latency[0]}, {**curves, **self._latency[1]}

    def _obstacle(self) -> str:
        """Return why the candidate need not be trained, before its first step; an empty string if it can be."""
        task = self._task
        if self.fidelity or not task.objective.is_anytime:
            return ""
        return unreachable(self._figures.exit_macs, task.max_budget)

    def _begun(self) -> Training:
        """Return the training before its first epoch, the candidate's latency measured."""
        task = self._task
        training = self._untrained()
        if task.latency:
            # It does not depend on the weights, so that of one replica is measured, untrained.
            single = task.single_network(self.architecture).to(device_named(task.device))
            self._latency = latency_figures(single, task.images.input_shape)
        return training

    def _untrained(self) -> Training:
        task, device = self._task, device_named(self._task.device)
        task.images.part("train", device)  # images that cannot be read are found before a network is built
        network = task.network(self.architecture).to(device)
        generators = task.generators(self.architecture, "batches")
        mixed = device.type == "cuda"
        return Training(network, task.recipe, generators, mixed_precision=mixed, prediction=task.images.prediction)

    def _scores(self, part: Any, training: Training) -> Sequence[Score]:
        images = self._task.images.part(part, device_named(self._task.device))
        prediction = self._task.images.prediction
        return exit_scores(training.network, images.images, images.labels, self._task.repeats, prediction=prediction)

    def _epoch_curves(self) -> dict[str, tuple[float, ...]]:
        return {name: tuple(values) for name, values in self._curves.items()}

    def _failed(self, error: str, seconds: float) -> Evaluation:
        """Return the evaluation of the candidate, which failed `seconds` after its last step; there are no more steps."""
        self._training = None  # its memory is for the next candidate
        total = sum(self._curves[STEP_SECONDS]) + seconds
        curves = self._epoch_curves() if self.fidelity else {}
        self._failure = Evaluation(self.architecture, self._key, float("nan"), {}, total, error, curves)
        return self._failure

    def _identity(self) -> dict[str, Any]:
        return {"evaluator": self._fingerprint(), "seed": self._task.seed, "key": self._key}


def _copied(value: Any) -> Any:
    """Return a copy of nested plain data, whose tensors share no memory with those of the training; on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list | tuple) else value
