"""The evaluator that trains candidates for real."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archsearch.errors import ConfigurationError, DatasetError, check_kind, check_whole_number
from archsearch.evaluators import datasets
from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.cpu_threads import cpu_threads
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.failure import failure_text
from archsearch.evaluators.latency import LATENCIES, latency_figures
from archsearch.evaluators.score_objective import ACCURACY, ScoreObjective, area, exit_macs, unreachable
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.loop import TrainingDiverged, train
from archsearch.evaluators.training.recipe import Recipe, default_recipe, default_scale
from archsearch.evaluators.training.scoring import Score, exit_scores
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network, stacked_network

Part = tuple[Tensor, Tensor]

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
        dataset: What `datasets.load` takes, such as `digits`, or splits at hand.
        recipe: How to train; None takes the one for the dataset.
        seed: Seed of all candidates' trainings.
        objective: What the score is: `accuracy` or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        repeats: Independent trainings of each candidate, made in one pass, whose mean is the score. Needs a space with the scale
            setting `replicas`.
        report_test: Whether to measure test accuracy too. No searcher sees it.
        latency: Whether to measure how long a forward pass takes, on the device and with the threads of the training: metrics
            such as `latency_ms_batch1`, milliseconds of a batch of 1 and of 64 (median, with quartiles `_low` and `_high`), and
            for several exits curves such as `exit_latency_ms_batch1`. What else runs on the device slows it down.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of one training.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        **changes: Changes to the recipe, such as `epochs=30`.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown or cannot be read.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        *,
        recipe: Recipe | None = None,
        seed: int = 0,
        objective: str = ACCURACY,
        max_budget: float | None = None,
        repeats: int = 1,
        report_test: bool = False,
        latency: bool = False,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(space, seed)
        check_kind("dataset", dataset, (str, Splits), "the name of a dataset, such as 'digits', or Splits")
        name = dataset if isinstance(dataset, str) else "own"
        self.objective = ScoreObjective(objective, max_budget)
        self.recipe = (recipe or default_recipe(name)).with_changes(**changes)
        fitting = {key: value for key, value in default_scale(name).items() if key in space.scale_defaults}
        self.scale = space.checked_scale(fitting if scale is None else scale)
        if self.scale.get("replicas", 1) > 1:
            raise ConfigurationError(f"scale['replicas']: expected 1; got {self.scale['replicas']}. Give repeats instead.")
        for argument, value in (("repeats", repeats), ("threads", threads)):
            check_whole_number(argument, value)
        if repeats > 1 and "replicas" not in space.scale_defaults:
            raise ConfigurationError(f"repeats: expected 1, because {space.name} has no scale setting replicas; got {repeats}.")
        # Workers run in other folders: what a relative path starts from is settled here.
        self.dataset, self.root = dataset, root or (str(Path.cwd()) if ":" in name else None)
        self.repeats, self.report_test, self.latency = repeats, report_test, latency
        self.device, self.threads = device, threads
        self._digest: str | None = None
        self._own_parts: tuple[Part, Part, Part] | None = None

    @property
    def task(self) -> str:
        return self.dataset if isinstance(self.dataset, str) else self.dataset.train.name.partition("/")[0]

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
    def chance(self) -> float:
        return 1.0 / self.splits().train.num_classes

    @property
    def cost_arguments(self) -> Mapping[str, Any]:
        part = self.splits().train
        return {"input_shape": part.shape, "num_classes": part.num_classes, **self.scale}

    def splits(self) -> Splits:
        """Return the images; a named dataset is loaded once a process."""
        return _load(self.dataset, self.root) if isinstance(self.dataset, str) else self.dataset

    def settings(self) -> Mapping[str, Any]:
        # Device and threads are left out: they change the seconds, not what is measured.
        splits = self.splits()
        if self._digest is None:
            self._digest = "-".join(part.digest for part in splits)
        return {
            "space": self.space.name,
            "dataset": self._digest,
            "recipe": self.recipe.settings(),
            "scale": self.scale,
            "repeats": self.repeats,
            "report_test": self.report_test,
            **self.objective.settings(splits.train.shape, splits.train.num_classes, self.scale),
            # Only where it is measured is it a part of what is measured.
            **({"latency": {"device": self.device, "threads": self.threads}} if self.latency else {}),
        }

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        with cpu_threads(self.threads):
            return [self._evaluate(architecture) for architecture in architectures]

    def network(self, architecture: Architecture) -> Network:
        """Return the untrained network of a candidate (all repeats side by side), with its own initial weights."""
        train_part = self.splits().train
        key = self.space.key(architecture)
        generators = [
            torch.Generator().manual_seed(derived_seed(self.seed, key, repeat, "weights")) for repeat in range(self.repeats)
        ]
        arguments = (architecture, train_part.num_classes, train_part.shape[0])
        return stacked_network(self.space, *arguments, generators, self.scale)

    def _parts(self) -> tuple[Part, Part, Part]:
        device = device_named(self.device)
        if isinstance(self.dataset, str):
            return _resident(self.dataset, self.root, device)
        if self._own_parts is None:
            self._own_parts = _normalised(self.dataset, device)
        return self._own_parts

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_own_parts": None}

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
        (images, labels), validation, test = self._parts()
        key = self.space.key(architecture)
        network = self.network(architecture).to(images.device)
        generators = [
            torch.Generator().manual_seed(derived_seed(self.seed, key, repeat, "batches")) for repeat in range(self.repeats)
        ]
        history: list[list[Score]] = []
        train(
            network,
            images,
            labels,
            self.recipe,
            generators,
            on_epoch=lambda epoch: history.append(exit_scores(network, *validation, self.repeats)),
            mixed_precision=images.device.type == "cuda",
        )
        metrics = self._metrics(architecture, history[-1][-1], len(labels))
        curves = {"valid_accuracy": tuple(_accuracy(epoch[-1]) for epoch in history)}
        final = exit_scores(network, *test, self.repeats) if self.report_test else []
        if final:
            metrics |= {"test_accuracy": _accuracy(final[-1]), "test_loss": float(final[-1].loss.mean())}
        if self.latency:
            times, exit_times = self._latencies(architecture, images.device)
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
        """Return metrics and curves of the latency of one copy, untrained: it does not depend on the weights."""
        part = self.splits().train
        single = stacked_network(self.space, architecture, part.num_classes, part.shape[0], [torch.Generator()], self.scale)
        return latency_figures(single.to(device), part.shape)

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
        part = self.splits().train
        return exit_macs(self.space.plan(architecture, part.num_classes, part.shape[0], **self.scale), part.shape)

    @property
    def _max_budget(self) -> float:
        part = self.splits().train
        return self.objective.budget(part.shape, part.num_classes, self.scale)


def _accuracy(score: Score) -> float:
    """Return the mean accuracy of all copies."""
    return float(score.accuracy.mean())


def _normalised(splits: Splits, device: torch.device) -> tuple[Part, Part, Part]:
    """Return images as normalised floats and labels of each part, on the device."""
    mean, std = splits.train.statistics()
    parts = [datasets.resident(part, mean, std, device) for part in splits]
    return tuple((part.images, part.labels) for part in parts)  # type: ignore[return-value]


@lru_cache(maxsize=4)
def _load(dataset: str, root: str | None) -> Splits:
    return datasets.load(dataset, root)


@lru_cache(maxsize=4)
def _resident(dataset: str, root: str | None, device: torch.device) -> tuple[Part, Part, Part]:
    return _normalised(_load(dataset, root), device)
