"""Facts of a network that is exported: what it is, how it was found and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.prediction.classification import Classification
from archsearch.evaluators.prediction.multilabel import Multilabel
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.prediction.task import PredictionTask
from archsearch.evaluators.score_names import CLASSIFICATION, MULTILABEL, OBJECTIVES, REGRESSION
from archsearch.spaces import Architecture, Cost, SearchSpace


@dataclass(frozen=True)
class TrainingData:
    """The training images, as far as users of the network must know them.

    Args:
        name: Name of the dataset, such as `cifar10`.
        shape: `(channels, height, width)` of an image.
        classes: Name of each class, label or target, in the order of the outputs.
        mean: Mean of each channel, fractions of full brightness. Networks take `(pixels / 255 - mean) / std`.
        std: Standard deviation of each channel, fractions of full brightness.
        digest: Hash of the images of all splits.
        images: Number of training images.
        task: What is predicted: `classification`, `multilabel` or `regression`.
        target_mean: For numbers, the mean of each target over the training images.
        target_deviation: For numbers, the standard deviation of each.
    """

    name: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    images: int
    task: str = CLASSIFICATION
    target_mean: tuple[float, ...] = ()
    target_deviation: tuple[float, ...] = ()

    @property
    def prediction(self) -> PredictionTask:
        """What a network learns to predict."""
        if self.task == REGRESSION:
            return Regression(self.target_mean, self.target_deviation)
        return Multilabel() if self.task == MULTILABEL else Classification()

    @property
    def measure(self) -> str:
        """The usual figure of quality of the task, such as `accuracy`."""
        return OBJECTIVES[self.task][0]

    @classmethod
    def of(cls, name: str, splits: Splits, with_validation: bool) -> TrainingData:
        """Return the facts of a training on the training images, or `with_validation` also on the validation images."""
        part = splits.train
        mean, std = part.statistics()
        digest = "-".join(each.digest for each in splits)
        count = len(part) + (len(splits.validation) if with_validation else 0)
        known = cls(name, part.shape, part.classes, tuple(mean.tolist()), tuple(std.tolist()), digest, count, part.task)
        if part.task != REGRESSION:
            return known
        fitted = Regression.fitted(part.labels)
        return replace(known, target_mean=fitted.mean, target_deviation=fitted.deviation)


@dataclass(frozen=True)
class TrainingFacts:
    """Facts of a training, without the network and the recipe as objects.

    Args:
        data: The images.
        recipe_name: Human-readable name of the recipe, with changes.
        settings: All settings of the recipe, by name.
        seed: Seed of weights, order and augmentation.
        metrics: Those of `TrainedModel`.
        exit_accuracies: Test accuracy of each exit, a fraction, or what the task has instead of it, in the order of the outputs.
    """

    data: TrainingData
    recipe_name: str
    settings: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, float]
    exit_accuracies: tuple[float, ...]


@dataclass(frozen=True)
class ModelMember:
    """A network of an ensemble.

    Args:
        architecture: Its architecture.
        count: How often it counts; its weight is `count` by the sum of all counts.
        rank: Rank of the architecture in the search.
        metrics: Metrics of the network alone, as those of `TrainedModel`.
    """

    architecture: Architecture
    count: int
    rank: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a network that is exported.

    Args:
        space: Space of the architecture.
        architecture: Architecture of the network.
        input_shape: `(channels, height, width)` of an image; empty for a module that takes `example_inputs`.
        num_classes: Number of classes, labels or targets; None for such a module if it was not given one.
        num_exits: Number of exits of the network.
        scale: Size settings of the network.
        origin: How the architecture was found, as plain data: `run`, `searcher`, `rank`, `score`, `score_name`, `metrics`, ...
        training: Facts of the training; None for a network with random weights.
        members: Networks of an ensemble, in the order of selection, the first one of `architecture`; empty for a single network.
        task: What it predicts: `classification`, `multilabel` or `regression`.
        example_inputs: Inputs of a module of the user that was not made for images, as for `ModuleSpace`.
    """

    space: SearchSpace
    architecture: Architecture
    input_shape: tuple[int, ...]
    num_classes: int | None
    num_exits: int
    scale: Mapping[str, int]
    origin: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingFacts | None = None
    members: tuple[ModelMember, ...] = ()
    task: str = CLASSIFICATION
    example_inputs: Any = None

    @property
    def takes_images(self) -> bool:
        """Whether its inputs are images of `input_shape`."""
        return self.example_inputs is None

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """The architectures of all networks in it."""
        return tuple(member.architecture for member in self.members) or (self.architecture,)

    @property
    def cost(self) -> Cost:
        """Parameters and MACs of all networks together."""
        given = {"input_shape": self.input_shape or None, "num_classes": self.num_classes}
        sizes: dict[str, Any] = {**{name: value for name, value in given.items() if value is not None}, **self.scale}
        costs = [self.space.cost(each, **sizes) for each in self.architectures]
        return Cost(sum(cost.params for cost in costs), sum(cost.macs for cost in costs))
