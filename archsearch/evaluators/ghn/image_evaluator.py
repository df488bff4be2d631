"""The base of evaluators whose networks run through their plans, normalised by the statistics of each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.ghn.scoring import EvaluationSpec
from archsearch.evaluators.ghn.task import ImageTask, device_named
from archsearch.evaluators.recipe import default_scale
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.plan import Plan


class ImageEvaluator(Evaluator):
    """Scores networks by their accuracy on fixed batches of validation images; no module is built for a candidate.

    Args:
        space: Space of the candidates.
        dataset: What `datasets.load` takes, such as `digits`, or splits at hand.
        seed: Of everything random.
        spec: Which validation images score a candidate.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int,
        spec: EvaluationSpec,
        *,
        device: str,
        threads: int,
        root: str | None,
        scale: Mapping[str, int] | None,
    ) -> None:
        super().__init__(space, seed)
        self.images, self.spec = ImageTask(dataset, root), spec
        fitting = {key: value for key, value in default_scale(self.images.recipe_name).items() if key in space.scale_defaults}
        self.scale = space.checked_scale(fitting if scale is None else scale)
        if self.scale.get("replicas", 1) > 1:
            raise ConfigurationError(f"scale['replicas']: expected 1; got {self.scale['replicas']}.")
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise ConfigurationError(f"threads: expected a whole number of at least 1; got {threads!r}.")
        self.device, self.threads = device, threads

    @property
    def task(self) -> str:
        return self.images.name

    @property
    def score_name(self) -> str:
        return "valid_accuracy"

    @property
    def score_is_fraction(self) -> bool:
        return True

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("valid_loss",)

    @property
    def chance(self) -> float:
        return 1.0 / self.images.num_classes

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return {"input_shape": self.images.input_shape, "num_classes": self.images.num_classes, **self.scale}

    def settings(self) -> Mapping[str, Any]:
        # Device and threads are left out: they change the seconds, not what is measured.
        return {
            "space": self.space.name,
            "dataset": self.images.digest,
            "scale": self.scale,
            "evaluation": self.spec.settings(),
        }

    def plan(self, space: SearchSpace, architecture: Architecture) -> Plan:
        """Return the network of an architecture for the images at hand.

        Raises:
            ArchitectureError: The architecture is not of the space.
        """
        return space.plan(architecture, self.images.num_classes, self.images.input_shape[0], **self.scale)

    def training_images(self) -> Resident:
        """Return the training images on the device."""
        return self.images.resident(device_named(self.device))[0]

    def batches(self) -> Sequence[Resident]:
        """Return the validation images on the device, in the batches that score a candidate."""
        return self.spec.batches(self.images.resident(device_named(self.device))[1])

    def evaluation(
        self, architecture: Architecture, exits: Sequence[tuple[float, float]], seconds: float, **metrics: float
    ) -> Evaluation:
        """Return the evaluation of a network by accuracy and loss of its exits; the last one gives the score."""
        accuracy, loss = exits[-1]
        figures = {"valid_accuracy": accuracy, "valid_loss": loss, **metrics}
        curves = {"exit_accuracy": tuple(right for right, _ in exits)} if len(exits) > 1 else {}
        return Evaluation(architecture, self.space.key(architecture), accuracy, figures, seconds, None, curves)

    def guarded(
        self, architecture: Architecture, score: Callable[[], Sequence[tuple[float, float]]], unusable: str
    ) -> Evaluation:
        """Return the evaluation of a candidate; whatever goes wrong with it becomes its error.

        Args:
            architecture: The candidate.
            score: Gives accuracy and loss of its exits.
            unusable: What to say, with the last loss in place of `{}`, where a figure is not finite.
        """
        started = time.perf_counter()
        try:
            exits = score()
        except Exception as error:  # whatever one candidate does must not cost the batch
            message = f"{type(error).__name__}: {error}".splitlines()[0]
            return self.failed(architecture, message, time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if not all(math.isfinite(figure) for exit_ in exits for figure in exit_):
            return self.failed(architecture, unusable.format(exits[-1][1]), seconds)
        return self.evaluation(architecture, exits, seconds)

    @contextmanager
    def own_threads(self) -> Iterator[None]:
        """Use the evaluator's number of CPU threads for a while."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
