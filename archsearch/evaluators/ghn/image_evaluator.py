"""The base class of evaluators that run networks from their plans, normalised by the statistics of each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import NoneType
from typing import Annotated, Any

from torch import Tensor

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind, check_whole_number
from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.datasets.resident import ImagePart, Resident
from archsearch.evaluators.devices import cpu_threads, device_named, failure_text
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.ghn.scoring import EvaluationSpec
from archsearch.evaluators.score_names import BALANCED, CLASSIFICATION, MAE, R2
from archsearch.evaluators.score_objective import ScoreObjective, area, exit_macs, unreachable
from archsearch.evaluators.space_source import space_source
from archsearch.evaluators.training.description import guessed
from archsearch.evaluators.training.recipe import default_scale
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.plan import Plan


class ImageEvaluator(Evaluator):
    """Scores networks by their accuracy on fixed batches of validation images; no module is built for a candidate.

    Sets of labels are scored by mean average precision, numbers by R2.

    Networks with several exits have the curves `exit_accuracy` and `exit_macs`, in the order of the exits. With
    `objective="anytime"` the score is the area under them, also the metric `anytime_auc`; see `ScoreObjective`.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of everything random.
        spec: Validation images that score a candidate, and their batches; None takes all images.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: Figure that is the score: the usual one of the task, which None takes, or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        image_size: Side in pixels that images are brought to; None leaves them as they are.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        spec: EvaluationSpec | None = None,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        objective: str | None = None,
        max_budget: float | None = None,
        image_size: Annotated[int, AtLeast(1)] | None = None,
    ) -> None:
        super().__init__(space, seed)
        check_kind("spec", spec, (EvaluationSpec, NoneType), "an EvaluationSpec")
        device_named(device)
        self.spec, self._score = spec or EvaluationSpec(), (objective, max_budget)
        if objective in (BALANCED, MAE):
            usual = "accuracy or anytime" if objective == BALANCED else R2
            raise ConfigurationError(f"objective: expected {usual}; only trainings are scored by {objective}.")
        self.images = ImageTask(dataset, root, size=image_size)
        if objective is not None or max_budget is not None:
            _ = self.objective  # raises for a score that the task does not have
        fitting = {key: value for key, value in default_scale(self.images.recipe_name).items() if key in space.scale_defaults}
        self.scale = space.checked_scale(fitting if scale is None else scale)
        if self.scale.get("replicas", 1) > 1:
            raise ConfigurationError(f"scale['replicas']: expected 1; got {self.scale['replicas']}.")
        check_whole_number("threads", threads)
        self.device, self.threads = device, threads

    @property
    def task(self) -> str:
        return self.images.name

    @property
    def objective(self) -> ScoreObjective:
        """The score; the labels are read if the task depends on them."""
        return ScoreObjective.of(*self._score, self.images.task)

    @property
    def score_name(self) -> str:
        return self.objective.score_name

    @property
    def score_is_fraction(self) -> bool:
        return self.objective.is_fraction

    @property
    def metric_names(self) -> tuple[str, ...]:
        return self.objective.metric_names

    @property
    def chance(self) -> float:
        return guessed(self.images.splits.validation, self.objective)

    @property
    def score_images(self) -> float | None:
        if self.images.task != CLASSIFICATION:
            return None
        part = len(self.images.splits.validation)
        return float(min(self.spec.images or part, part))

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return {"input_shape": self.images.input_shape, "num_classes": self.images.num_classes, **self.scale}

    def settings(self) -> Mapping[str, Any]:
        # Device and threads are left out: they change the seconds, not the scores.
        return {
            "space": self.space.name,
            **space_source(self.space),
            "dataset": self.images.digest,
            "scale": self.scale,
            "evaluation": self.spec.settings(),
            **self.objective.settings(self.images.input_shape, self.images.num_classes, self.scale),
        }

    def plan(self, space: SearchSpace, architecture: Architecture) -> Plan:
        """Return the network of an architecture for the images of the dataset.

        Raises:
            ArchitectureError: The architecture is not of the space.
        """
        return space.plan(architecture, self.images.num_classes, self.images.input_shape[0], **self.scale)

    def training_images(self) -> ImagePart:
        """Return the training images on the device."""
        return self.images.resident(device_named(self.device))[0]

    def class_weights(self, used: bool) -> Tensor | None:
        """Return the weights of the classes of the training images on the device, if they are used."""
        return self.images.prediction.weights(self.training_images().labels) if used else None

    def batches(self) -> Sequence[Resident]:
        """Return the validation images on the device, in the batches that score a candidate."""
        return self.spec.batches(self.images.resident(device_named(self.device))[1])

    def evaluation(
        self, architecture: Architecture, exits: Sequence[tuple[float, float]], seconds: float, **metrics: float
    ) -> Evaluation:
        """Return the evaluation of a network by accuracy, or what the task has for it, and loss of its exits; the last counts."""
        accuracy, loss = exits[-1]
        measure = self.objective.measure
        figures, key = {f"valid_{measure}": accuracy, "valid_loss": loss, **metrics}, self.space.key(architecture)
        if len(exits) == 1 and not self.objective.is_anytime:
            return Evaluation(architecture, key, accuracy, figures, seconds)
        accuracies, shape = tuple(right for right, _ in exits), self.images.input_shape
        macs = exit_macs(self.plan(self.space, architecture), shape)
        if self.objective.is_anytime:
            budget = self.objective.budget(shape, self.images.num_classes, self.scale)
            if reason := unreachable(macs, budget):
                return self.failed(architecture, reason, seconds)
            figures[AREA] = area(macs, accuracies, self.chance, budget)
        curves = {f"exit_{measure}": accuracies, "exit_macs": macs}
        return Evaluation(architecture, key, figures[self.score_name], figures, seconds, None, curves)

    def guarded(
        self, architecture: Architecture, score: Callable[[], Sequence[tuple[float, float]]], unusable: str
    ) -> Evaluation:
        """Return the evaluation of a candidate; an exception in it becomes the error of the evaluation.

        Args:
            architecture: The candidate.
            score: Returns accuracy and loss of its exits.
            unusable: Error where a figure is not finite, with `{}` in place of the last loss.
        """
        started = time.perf_counter()
        try:
            exits = score()
        except Exception as error:  # one candidate that fails must not fail the batch
            return self.failed(architecture, failure_text(error), time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if not all(math.isfinite(figure) for exit_ in exits for figure in exit_):
            return self.failed(architecture, unusable.format(exits[-1][1]), seconds)
        return self.evaluation(architecture, exits, seconds)

    def own_threads(self) -> AbstractContextManager[None]:
        """Return a context in which torch uses the evaluator's number of CPU threads."""
        return cpu_threads(self.threads)
