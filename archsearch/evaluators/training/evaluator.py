"""The evaluator that trains each candidate and scores it on the validation images."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from archsearch.declarations import AtLeast, Between
from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.latency import LATENCIES
from archsearch.evaluators.latency_cost import LatencyConditions, LatencyFunction
from archsearch.evaluators.score_names import BALANCED, CLASSIFICATION, REGRESSION
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.space_source import space_source
from archsearch.evaluators.stepwise import StepwiseEvaluator
from archsearch.evaluators.training.description import cautions, copied, equal_images, facts, guessed, unmirrored
from archsearch.evaluators.training.fitted_recipe import fitted_recipe, is_own
from archsearch.evaluators.training.guessing import FIRST, Guess, no_better_than_guessing
from archsearch.evaluators.training.recipe import Recipe, default_recipe, default_scale, recipe_named
from archsearch.evaluators.training.steps import TrainingSteps
from archsearch.evaluators.training.task import TrainingTask
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network

_log = logging.getLogger(__name__)


class TrainingEvaluator(StepwiseEvaluator):
    """Trains each candidate and scores it by validation accuracy after the last epoch, or by the area under its anytime curve.

    Images can have one class each, sets of labels or numbers: see `task`. Sets of labels are scored by mean average precision,
    numbers by R2 or the mean absolute error.

    A network with several exits is trained on the sum of their losses, or by distillation; see `exit_losses`. Its evaluation
    has the curves `exit_accuracy` (validation) and `exit_macs`, in the order of the exits; `valid_accuracy` is that of the last
    one. With `objective="anytime"` there is the metric `anytime_auc`, which is the score, and with `report_test` also
    `test_anytime_auc`.

    It reports after each epoch, see `StepwiseEvaluator`. The metrics on test images are measured after the last epoch, and for a
    candidate that is stopped where `EvaluationSteps.with_report_metrics` asks for them.

    The outcome depends on the settings and the architecture alone, not on the order of candidates: the seeds of weights and
    batches come from `seed` and the architecture's key.

    Args:
        space: Space of the candidates.
        dataset: Name of a dataset as for `datasets.load`, such as `digits`, or splits in memory.
        recipe: Settings of the training, or the name of a recipe; None takes those for the dataset. For images of the user,
            these are fitted to the images: see `fitted_recipe`.
        seed: Seed of all candidates' trainings.
        objective: Kind of score, `accuracy`, `balanced_accuracy` or `anytime`, `mean_average_precision`, `r2` or `mae`; see
            `ScoreObjective`. None takes the first of the task.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        repeats: Number of replicas of each candidate, trained independently in one pass; the score is their mean. Needs a space
            with the scale setting `replicas`.
        report_test: Whether to measure test accuracy too. No searcher sees it.
        latency: Whether to measure the time of a forward pass, on the device and with the threads of the training: metrics such
            as `latency_ms_batch1`, milliseconds of a batch of 1 and of 64 (median, with quartiles `_low` and `_high`), and for
            several exits curves such as `exit_latency_ms_batch1`. Other work on the device slows it down. A function of
            (network, input shape) that returns milliseconds, or its name `module:function`, does not measure after a training:
            it gives the cost `latency_ms` that constraints and objectives of a search may name; see `latency_conditions`.
        latency_batch: Images in a batch for the cost `latency_ms`, if no function gives it.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of one training.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        task: `classification`, `multilabel` or `regression`; None takes that of the labels.
        images: Fraction of the training images that candidates are trained on, above 0 and at most 1, the same ones for all, with
            the classes in their proportions. Validation and test images all stay.
        size: Side in pixels, or height and width as `24x96`, that images are brought to for the search; None leaves them.
        memory_gb: Gigabytes (10^9 bytes) that images of the user may take in memory; larger datasets are decoded as they are
            needed, with the same scores. None takes a quarter of the memory of the machine.
        data_workers: Processes that decode such images ahead, for each training; None takes as many as `threads`.
        **changes: Changes to the recipe, such as `epochs=30`.

    Attributes:
        chosen: Settings of the recipe that the user gave, by name.
        warns: Whether `evaluate` logs what `cautions` and `remark` return, once each; `begin` logs the former.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown or cannot be read.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import TrainingEvaluator
        >>> space = spaces.get("nasbench201")
        >>> cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
        >>> evaluator = TrainingEvaluator(space, "digits", epochs=1, scale={"channels": 2, "cells_per_stage": 1})
        >>> [evaluation] = evaluator.evaluate([cell])
        >>> 0.0 <= evaluation.score <= 1.0
        True
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        *,
        recipe: Recipe | str | None = None,
        seed: int = 0,
        objective: str | None = None,
        max_budget: float | None = None,
        repeats: Annotated[int, AtLeast(1)] = 1,
        report_test: bool = False,
        latency: bool | LatencyFunction | str = False,
        latency_batch: Annotated[int, AtLeast(1)] = 1,
        device: str = "auto",
        threads: Annotated[int, AtLeast(1)] = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        task: str | None = None,
        images: Annotated[float, Between(0.0, 1.0)] = 1.0,
        size: int | str | None = None,
        memory_gb: Annotated[float, AtLeast(0.0)] | None = None,
        data_workers: Annotated[int, AtLeast(0)] | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(space, seed)
        loading = Loading(memory_gb, threads if data_workers is None else data_workers)
        self.images = ImageTask(dataset, root, task, share=images, size=size, loading=loading)
        self._score = objective, max_budget
        if objective is not None or max_budget is not None:
            _ = self.objective  # raises for a score that the task does not have
        name = self.images.recipe_name
        self._asked = (default_recipe(name) if recipe is None else recipe_named(recipe, name)).with_changes(**changes)
        fitted = recipe is None and is_own(name) and not {"batch_size", "flip"} <= changes.keys()
        self._recipe = None if fitted else self._asked
        if (self._asked.class_weights or self._asked.label_smoothing) and self.images.task == REGRESSION:
            name = "class_weights" if self._asked.class_weights else "label_smoothing"
            raise ConfigurationError(f"{name}: numbers have no classes to weigh or smooth. Leave it out, or give {name}=0.")
        self._chosen = frozenset(changes)
        self.chosen = {**({} if recipe is None else asdict(self._asked)), **changes}
        default = default_scale(self.images.recipe_name, space.scale_defaults)
        self.scale = space.checked_scale(default if scale is None else scale)
        if self.scale.get("replicas", 1) > 1:
            raise ConfigurationError(f"scale['replicas']: expected 1; got {self.scale['replicas']}. Give repeats instead.")
        if repeats > 1 and "replicas" not in space.scale_defaults:
            raise ConfigurationError(f"repeats: expected 1, because {space.name} has no scale setting replicas; got {repeats}.")
        self.repeats, self.report_test, self.latency = repeats, report_test, latency is True
        device_named(device)
        self.device, self.threads = device, threads
        asked = None if isinstance(latency, bool) else latency
        self._conditions = LatencyConditions(device, threads, latency_batch, asked)
        self.warns, self._cautioned, self._first = True, False, list[Evaluation]()

    @property
    def objective(self) -> ScoreObjective:
        """The score; the labels are read if the task depends on them."""
        return ScoreObjective.of(*self._score, self.images.task)

    @property
    def recipe(self) -> Recipe:
        """Settings of the training; the images are loaded if these depend on them."""
        if self._recipe is None:
            self._recipe = fitted_recipe(self._asked, self.images.recipe_name, self.images.splits.train, self._chosen)
        return self._recipe

    def shortened(self, epochs: int) -> TrainingEvaluator:
        """Return a copy that trains for `epochs` epochs, without warnings: a short training may be no better than guessing."""
        other = copy.copy(self)
        other._recipe, other.warns = self.recipe.with_changes(epochs=epochs), False
        return other

    @property
    def task(self) -> str:
        return self.images.name

    @property
    def score_name(self) -> str:
        return self.objective.score_name

    @property
    def score_is_fraction(self) -> bool:
        return self.objective.is_fraction

    @property
    def lower_is_better(self) -> bool:
        return self.objective.lower_is_better

    @property
    def metric_names(self) -> tuple[str, ...]:
        return (*self.objective.metric_names, *(LATENCIES if self.latency else ()))

    @property
    def latency_conditions(self) -> LatencyConditions:
        """The cost `latency_ms`, found only if a constraint or an objective of the search names it.

        It is the time of a batch of `latency_batch` on the device, with the threads of the training, or what the function
        `latency` returns.
        """
        return self._conditions

    @property
    def chance(self) -> float:
        """The score of guessing: for accuracy, that of always answering the largest class; see `guessed`.

        For the area under the anytime curve it is 1 / classes, a part of the definition of the score.
        """
        return guessed(self.images.splits.validation, self.objective)

    @property
    def score_images(self) -> float | None:
        if self.images.task != CLASSIFICATION:
            return None
        validation = self.images.splits.validation
        return equal_images(validation) if self.objective.name == BALANCED else float(len(validation))

    def facts(self) -> tuple[str, ...]:
        return facts(self.images.splits, self.recipe, self.images.name, self._asked.batch_size)

    def cautions(self) -> tuple[str, ...]:
        repeats = self.repeats if "replicas" in self.space.scale_defaults else None
        found = cautions(self.images.splits, self.recipe, self.score_images, self.objective.name == BALANCED, repeats)
        if is_own(self.images.recipe_name):
            found = (*found, *copied(self.images.splits, self.images.copies))
        return (*found, *unmirrored(self.images.splits.train, self._asked, self.recipe))

    def remark(self, evaluations: Sequence[Evaluation]) -> str:
        if self.images.task != CLASSIFICATION:
            return no_better_than_guessing(evaluations, self.objective, self.chance)
        balanced = self.objective.name == BALANCED
        assert self.score_images is not None, "accuracies are means over images"
        guess = Guess.of(self.images.splits.validation, self.chance, self.score_images, balanced)
        return guess.remark(evaluations, flip=self.recipe.flip, weighted=self.recipe.class_weights)

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return {"input_shape": self.images.input_shape, "num_classes": self.images.num_classes, **self.scale}

    def splits(self) -> Splits:
        """Return the images; a named dataset is loaded once a process."""
        return self.images.splits

    def settings(self) -> Mapping[str, Any]:
        # Device and threads are left out: they change the seconds, not what is measured.
        return {
            "space": self.space.name,
            **space_source(self.space),
            "dataset": self.images.full_digest,
            **({} if self.images.reduction.share == 1.0 else {"images": self.images.reduction.share}),
            "recipe": self.recipe.settings(),
            "scale": self.scale,
            "repeats": self.repeats,
            "report_test": self.report_test,
            **self.objective.settings(self.images.input_shape, self.images.num_classes, self.scale),
            # Only where it is measured is it a part of what is measured.
            **({"latency": {"device": self.device, "threads": self.threads}} if self.latency else {}),
        }

    @property
    def max_fidelity(self) -> int:
        return self.recipe.epochs

    def begin(self, architecture: Architecture) -> TrainingSteps:
        self._caution()
        return TrainingSteps(architecture, self._task, self.fingerprint)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        self._caution()
        evaluations = super().evaluate(architectures)
        self._warn_of_guessing(evaluations)
        return evaluations

    def _caution(self) -> None:
        """Log once what `cautions` returns."""
        if self.warns and not self._cautioned:
            self._cautioned = True
            for caution in self.cautions():
                _log.warning(caution)

    def _warn_of_guessing(self, evaluations: Sequence[Evaluation]) -> None:
        """Log once, after the first trainings, that none beats guessing."""
        if not self.warns or len(self._first) >= FIRST:
            return
        self._first += [each for each in evaluations if each.ok]
        if remark := self.remark(self._first):
            _log.warning(remark)

    def network(self, architecture: Architecture) -> Network:
        """Return the untrained network of a candidate, all replicas side by side, each with initial weights of its own."""
        return self._task.network(architecture)

    @property
    def _task(self) -> TrainingTask:
        return TrainingTask(
            self.space,
            self.images,
            self.recipe,
            self.objective,
            self.scale,
            self.seed,
            self.repeats,
            self.report_test,
            self.latency,
            self.device,
            self.threads,
        )
