"""The evaluator that trains each candidate and scores it by validation accuracy."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from archsearch.errors import ConfigurationError, DatasetError, check_whole_number
from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.devices import cpu_threads, device_named, failure_text
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.latency import LATENCIES, latency_figures
from archsearch.evaluators.latency_cost import LatencyConditions, LatencyFunction
from archsearch.evaluators.score_names import ACCURACY, BALANCED, BALANCED_SCORE
from archsearch.evaluators.score_objective import ScoreObjective, area, exit_macs, unreachable
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.description import cautions, equal_images, facts, guessing_accuracy, unmirrored
from archsearch.evaluators.training.fitted_recipe import fitted_recipe, is_own
from archsearch.evaluators.training.guessing import FIRST, Guess
from archsearch.evaluators.training.loop import TrainingDiverged, train
from archsearch.evaluators.training.recipe import Recipe, default_recipe, default_scale, recipe_named
from archsearch.evaluators.training.replicas import stacked_network
from archsearch.evaluators.training.scoring import Score, exit_scores
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network

_log = logging.getLogger(__name__)

# A backward pass costs about twice a forward pass.
_PASSES = 3


class TrainingEvaluator(Evaluator):
    """Trains each candidate and scores it by validation accuracy after the last epoch, or by the area under its anytime curve.

    A network with several exits is trained on the sum of their losses (as in MSDNet: G. Huang et al., ICLR 2018). Its evaluation
    has the curves `exit_accuracy` (validation) and `exit_macs`, in the order of the exits; `valid_accuracy` is that of the last
    one. With `objective="anytime"` there is the metric `anytime_auc`, which is the score, and with `report_test` also
    `test_anytime_auc`.

    The outcome depends on the settings and the architecture alone, not on the order of candidates: the seeds of weights and
    batches come from `seed` and the architecture's key.

    Args:
        space: Space of the candidates.
        dataset: Name of a dataset as for `datasets.load`, such as `digits`, or splits in memory.
        recipe: Settings of the training, or the name of a recipe; None takes those for the dataset. For images of the user,
            these are fitted to the images: see `fitted_recipe`.
        seed: Seed of all candidates' trainings.
        objective: Kind of score, `accuracy`, `balanced_accuracy` or `anytime`; see `ScoreObjective`.
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
        **changes: Changes to the recipe, such as `epochs=30`.

    Attributes:
        chosen: Settings of the recipe that the user gave, by name.
        warns: Whether `evaluate` logs what `cautions` and `remark` return, once each.

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
        objective: str = ACCURACY,
        max_budget: float | None = None,
        repeats: int = 1,
        report_test: bool = False,
        latency: bool | LatencyFunction | str = False,
        latency_batch: int = 1,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(space, seed)
        self.images, self.objective = ImageTask(dataset, root), ScoreObjective(objective, max_budget)
        name = self.images.recipe_name
        self._asked = (default_recipe(name) if recipe is None else recipe_named(recipe, name)).with_changes(**changes)
        fitted = recipe is None and is_own(name) and not {"batch_size", "flip"} <= changes.keys()
        self._recipe = None if fitted else self._asked
        self._chosen = frozenset(changes)
        self.chosen = {**({} if recipe is None else asdict(self._asked)), **changes}
        default = default_scale(self.images.recipe_name, space.scale_defaults)
        self.scale = space.checked_scale(default if scale is None else scale)
        if self.scale.get("replicas", 1) > 1:
            raise ConfigurationError(f"scale['replicas']: expected 1; got {self.scale['replicas']}. Give repeats instead.")
        for argument, value in (("repeats", repeats), ("threads", threads)):
            check_whole_number(argument, value)
        if repeats > 1 and "replicas" not in space.scale_defaults:
            raise ConfigurationError(f"repeats: expected 1, because {space.name} has no scale setting replicas; got {repeats}.")
        self.repeats, self.report_test, self.latency = repeats, report_test, latency is True
        self.device, self.threads = device, threads
        asked = None if isinstance(latency, bool) else latency
        self._conditions = LatencyConditions(device, threads, latency_batch, asked)
        self.warns, self._cautioned, self._first = True, False, list[Evaluation]()

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
        return True

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
        """The score of guessing: for accuracy, that of always answering the largest class; see `guessing_accuracy`.

        For the area under the anytime curve it is 1 / classes, a part of the definition of the score.
        """
        if self.objective.name == ACCURACY:
            return guessing_accuracy(self.images.splits.validation)
        return 1.0 / self.images.num_classes

    @property
    def score_images(self) -> float:
        validation = self.images.splits.validation
        return equal_images(validation) if self.objective.name == BALANCED else float(len(validation))

    def facts(self) -> tuple[str, ...]:
        return facts(self.images.splits, self.recipe, self.images.name, self._asked.batch_size)

    def cautions(self) -> tuple[str, ...]:
        repeats = self.repeats if "replicas" in self.space.scale_defaults else None
        found = cautions(self.images.splits, self.recipe, self.score_images, self.objective.name == BALANCED, repeats)
        return (*found, *unmirrored(self.images.splits.train, self._asked, self.recipe))

    def remark(self, evaluations: Sequence[Evaluation]) -> str:
        balanced = self.objective.name == BALANCED
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
            "dataset": self.images.full_digest,
            "recipe": self.recipe.settings(),
            "scale": self.scale,
            "repeats": self.repeats,
            "report_test": self.report_test,
            **self.objective.settings(self.images.input_shape, self.images.num_classes, self.scale),
            # Only where it is measured is it a part of what is measured.
            **({"latency": {"device": self.device, "threads": self.threads}} if self.latency else {}),
        }

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        if self.warns and not self._cautioned:
            self._cautioned = True
            for caution in self.cautions():
                _log.warning(caution)
        with cpu_threads(self.threads):
            evaluations = [self._evaluate(architecture) for architecture in architectures]
        self._warn_of_guessing(evaluations)
        return evaluations

    def _warn_of_guessing(self, evaluations: Sequence[Evaluation]) -> None:
        """Log once, after the first trainings, that none beats guessing."""
        if not self.warns or len(self._first) >= FIRST:
            return
        self._first += [each for each in evaluations if each.ok]
        if remark := self.remark(self._first):
            _log.warning(remark)

    def network(self, architecture: Architecture) -> Network:
        """Return the untrained network of a candidate, all replicas side by side, each with initial weights of its own."""
        return self._stacked(architecture, self._generators(architecture, "weights"))

    def _stacked(self, architecture: Architecture, generators: Sequence[torch.Generator]) -> Network:
        channels = self.images.input_shape[0]
        return stacked_network(self.space, architecture, self.images.num_classes, channels, generators, self.scale)

    def _generators(self, architecture: Architecture, use: str) -> list[torch.Generator]:
        """Return a source of random numbers for each replica of a candidate and this use."""
        key = self.space.key(architecture)
        seeds = [derived_seed(self.seed, key, replica, use) for replica in range(self.repeats)]
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        started = time.perf_counter()
        try:
            if self.objective.is_anytime and (reason := unreachable(self._exit_macs(architecture), self._max_budget)):
                return self.failed(architecture, reason, time.perf_counter() - started)
            metrics, curves = self._train(architecture)
        except DatasetError:
            raise  # no candidate could be trained: this is not the candidate's fault
        except TrainingDiverged as error:
            return self.failed(architecture, str(error), time.perf_counter() - started)
        except Exception as error:  # whatever one candidate does must not cost the batch
            return self.failed(architecture, failure_text(error), time.perf_counter() - started)
        key, seconds = self.space.key(architecture), time.perf_counter() - started
        return Evaluation(architecture, key, metrics[self.score_name], metrics, seconds, None, curves)

    def _train(self, architecture: Architecture) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
        device = device_named(self.device)
        images, validation = self.images.part("train", device), self.images.part("validation", device)
        network = self.network(architecture).to(device)
        history: list[list[Score]] = []  # by epoch, then by exit
        train(
            network,
            images.images,
            images.labels,
            self.recipe,
            self._generators(architecture, "batches"),
            on_epoch=lambda epoch: history.append(exit_scores(network, validation.images, validation.labels, self.repeats)),
            mixed_precision=device.type == "cuda",
        )
        metrics = self._metrics(architecture, history[-1][-1], len(images))
        curves = {"valid_accuracy": tuple(_accuracy(epoch[-1]) for epoch in history)}
        if self.objective.name == BALANCED:
            curves[BALANCED_SCORE] = tuple(_balanced(epoch[-1]) for epoch in history)
            metrics[BALANCED_SCORE] = curves[BALANCED_SCORE][-1]
        final: list[Score] = []
        if self.report_test:
            test = self.images.part("test", device)
            final = exit_scores(network, test.images, test.labels, self.repeats)
        if final:
            metrics |= {"test_accuracy": _accuracy(final[-1]), "test_loss": float(final[-1].loss.mean())}
            if self.objective.name == BALANCED:
                metrics["test_balanced_accuracy"] = _balanced(final[-1])
        if self.latency:
            times, exit_times = self._latencies(architecture, device)
            metrics, curves = {**metrics, **times}, {**curves, **exit_times}
        return self._with_exits(architecture, metrics, curves, history[-1], final)

    def _metrics(self, architecture: Architecture, final: Score, images: int) -> dict[str, float]:
        cost = self.space.cost(architecture, **self.cost_arguments)
        passes = _PASSES * self.recipe.epochs * images * self.repeats
        return {
            "valid_accuracy": _accuracy(final),
            "valid_loss": float(final.loss.mean()),
            "params": float(cost.params),
            "macs": float(cost.macs),
            "macs_paid": float(cost.macs) * passes,
            "epochs": float(self.recipe.epochs),
        }

    def _latencies(
        self, architecture: Architecture, device: torch.device
    ) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
        """Return metrics and curves of the latency of one replica, untrained: it does not depend on the weights."""
        single = self._stacked(architecture, [torch.Generator()])
        return latency_figures(single.to(device), self.images.input_shape)

    def _with_exits(
        self,
        architecture: Architecture,
        metrics: dict[str, float],
        curves: dict[str, tuple[float, ...]],
        validation: Sequence[Score],
        test: Sequence[Score],
    ) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
        """Return metrics and curves with those of the exits, if there are several or their area is the score."""
        if len(validation) == 1 and not self.objective.is_anytime:
            return metrics, curves
        macs = self._exit_macs(architecture)
        parts = {"": validation, "test_": test} if test else {"": validation}
        accuracies = {name: tuple(map(_accuracy, scores)) for name, scores in parts.items()}
        if self.objective.is_anytime:
            areas = {name: area(macs, found, self.chance, self._max_budget) for name, found in accuracies.items()}
            metrics |= {f"{name}{AREA}": found for name, found in areas.items()}
        curves |= {f"{name}exit_accuracy": found for name, found in accuracies.items()}
        return metrics, {**curves, "exit_macs": macs}

    def _exit_macs(self, architecture: Architecture) -> tuple[float, ...]:
        shape = self.images.input_shape
        return exit_macs(self.space.plan(architecture, self.images.num_classes, shape[0], **self.scale), shape)

    @property
    def _max_budget(self) -> float:
        return self.objective.budget(self.images.input_shape, self.images.num_classes, self.scale)


def _accuracy(score: Score) -> float:
    """Return the mean accuracy of all replicas."""
    return float(score.accuracy.mean())


def _balanced(score: Score) -> float:
    """Return the mean balanced accuracy of all replicas."""
    return float(score.balanced_accuracy.mean())
