"""The evaluator that scores candidates without training, by training-free scores of their initial networks."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.devices import cpu_threads, device_named, failure_text
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.proxies.registry import get
from archsearch.evaluators.proxies.subject import Subject
from archsearch.evaluators.score_names import CLASSIFICATION
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.recipe import default_scale
from archsearch.spaces import Architecture, SearchSpace


class ProxyEvaluator(Evaluator):
    """Scores candidates by the first of some training-free scores of their untrained networks; all of them are metrics.

    The images are a batch of training images, drawn once by the seed; the initial weights come from the seed and the
    architecture's key. A score that is not finite is missing from the metrics, and a candidate without the first one has failed.

    Args:
        space: Space of the candidates.
        proxies: Names of training-free scores, such as `["nwot", "synflow"]`; see `proxies.names`.
        dataset: Name of a dataset as for `datasets.load`, or splits in memory.
        seed: Seed of the images and of all initial weights.
        batch_size: Number of images.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        image_size: Side in pixels that images are brought to; None leaves them as they are.

    Raises:
        ConfigurationError: A name is unknown or is given twice, or a setting is out of range.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.evaluators.proxies import ProxyEvaluator
        >>> space = spaces.get("nasbench201")
        >>> cells = [space.from_genotype([3, 0, 1, 0, 0, 1]), space.from_genotype([3] * 6)]
        >>> evaluator = ProxyEvaluator(space, ["nwot", "params"], "digits", scale={"channels": 2, "cells_per_stage": 1})
        >>> small, large = evaluator.evaluate(cells)
        >>> small.score < large.score, large.metrics["params"]
        (True, 6000.0)
    """

    def __init__(
        self,
        space: SearchSpace,
        proxies: Sequence[str],
        dataset: str | Splits,
        *,
        seed: int = 0,
        batch_size: int = 64,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        image_size: Annotated[int, AtLeast(1)] | None = None,
    ) -> None:
        super().__init__(space, seed)
        given = [proxies] if isinstance(proxies, str) else list(proxies)
        if not given or len(set(given)) < len(given):
            raise ConfigurationError(
                f"proxies: expected different names of training-free scores, such as ['nwot', 'synflow']; got {given}."
            )
        self.proxies = {name: get(name) for name in given}
        self.images = ImageTask(dataset, root, size=image_size)
        self.scale = space.checked_scale(default_scale(self.images.recipe_name, space.scale_defaults) if scale is None else scale)
        check_whole_number("batch_size", batch_size, 2)
        check_whole_number("threads", threads)
        device_named(device)
        self.batch_size, self.device, self.threads = batch_size, device, threads

    @property
    def task(self) -> str:
        return self.images.name

    @property
    def score_name(self) -> str:
        return next(iter(self.proxies))

    @property
    def metric_names(self) -> tuple[str, ...]:
        return tuple(self.proxies)[1:]

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        return {"input_shape": self.images.input_shape, "num_classes": self.images.num_classes, **self.scale}

    def settings(self) -> Mapping[str, Any]:
        self._check_task()
        return {
            "space": self.space.name,
            "dataset": self.images.digest,
            "proxies": list(self.proxies),
            "batch_size": self.batch_size,
            "scale": self.scale,
        }

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        with cpu_threads(self.threads):
            return [self._evaluate(architecture) for architecture in architectures]

    def scores(self, architecture: Architecture) -> dict[str, float]:
        """Return the scores of an architecture by name, NaN or infinite where one is not defined."""
        device, key = device_named(self.device), self.space.key(architecture)
        images = self.images.part("train", device)
        chosen = torch.randperm(len(images), generator=self._generator("images"))[: self.batch_size].to(device)
        cost, found = self.space.cost(architecture, **self.cost_arguments), dict[str, float]()
        for name, record in self.proxies.items():  # each with the same weights, whatever another one leaves behind
            network = self.space.build(
                architecture,
                self.images.num_classes,
                self.images.input_shape[0],
                generator=self._generator(key, "weights"),
                **self.scale,
            )
            subject = Subject(
                network.to(device).train(),
                images.images[chosen],
                images.labels[chosen],
                cost,
                self._generator(key, "noise"),
                self.images.prediction,
            )
            found[name] = record.score(subject)
        return found

    def _check_task(self) -> None:
        """Raise ConfigurationError if a score needs classes, and the images have none."""
        unfit = [name for name, record in self.proxies.items() if record.needs_classes]
        if unfit and self.images.task != CLASSIFICATION:
            raise ConfigurationError(
                f"proxies: {unfit[0]} compares the images of each class, and the labels are for {self.images.task}. Take another "
                "one, such as nwot or zico."
            )

    def _generator(self, *uses: str) -> torch.Generator:
        return torch.Generator().manual_seed(derived_seed(self.seed, *uses))

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        started = time.perf_counter()
        try:
            scores = self.scores(architecture)
        except Exception as error:  # one candidate that fails must not fail the batch
            return self.failed(architecture, failure_text(error), time.perf_counter() - started)
        seconds = time.perf_counter() - started
        metrics = {name: score for name, score in scores.items() if math.isfinite(score)}
        if self.score_name not in metrics:
            return self.failed(architecture, f"{self.score_name} is {scores[self.score_name]} for it", seconds)
        return Evaluation(architecture, self.space.key(architecture), metrics[self.score_name], metrics, seconds)
