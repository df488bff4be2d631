"""The score of a network: the accuracy or another figure of its last exit, or the area under its anytime curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.anytime.curve import AREA, AnytimeCurve
from archsearch.evaluators.baselines import msdnet_plan
from archsearch.evaluators.score_names import ACCURACY, ANYTIME, CLASSIFICATION, MAE, MEASURES, OBJECTIVES, R2, TASKS
from archsearch.spaces.exits import exit_costs
from archsearch.spaces.operators import Shape
from archsearch.spaces.plan import Plan

_CHANNELS = 16


@dataclass(frozen=True)
class ScoreObjective:
    """The choice of the score among the figures of a task, `score_names.OBJECTIVES`.

    Args:
        name: For classes `accuracy` (validation accuracy of the last exit), `balanced_accuracy` (the mean over the classes of the
            fraction of their images that it classifies right, for classes of unequal size) or `anytime` (area under the steps of
            the exits, see `AnytimeCurve.auc`; C. Zhang, M. Ren, R. Urtasun, ICLR 2019, section 5.2). A network with one exit has
            a curve too: chance, then its accuracy. A network whose first exit lies beyond the end fails, and is not trained.
            For sets of labels `mean_average_precision`, or `anytime`, the area under that; for numbers `r2` or `mae`, the mean
            absolute error, of which less is better: the score is its negative.
        max_budget: For `anytime`, the end of the area, in MACs of one input, common to all candidates: without it, small networks
            would win. Exits beyond it do not count. None takes `default_max_budget`.
        task: What is predicted.

    Raises:
        ConfigurationError: The name is unknown or that of a figure of another task, the budget is not above 0, or it is
            given without `anytime`.
    """

    name: str = ACCURACY
    max_budget: float | None = None
    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        known = OBJECTIVES[self.task]
        if self.name not in known:
            others = [task for task in TASKS if self.name in OBJECTIVES[task]]
            if others:
                raise ConfigurationError(
                    f"objective: the task {self.task} is scored by {' or '.join(known)}; got {self.name!r}, a score of "
                    f"{others[0]}."
                )
            raise ConfigurationError(unknown_name("objective", self.name, known))
        if self.max_budget is None:
            return
        if not self.is_anytime:
            raise ConfigurationError(f"max_budget: only objective='anytime' has one; got {self.max_budget!r}.")
        number = isinstance(self.max_budget, int | float) and not isinstance(self.max_budget, bool)
        if not number or not 0.0 < self.max_budget < math.inf:
            raise ConfigurationError(f"max_budget: expected MACs above 0, such as 50e6; got {self.max_budget!r}.")

    @classmethod
    def of(cls, name: str | None, max_budget: float | None, task: str) -> ScoreObjective:
        """Return the score of this name, or the usual one of the task for None.

        Raises:
            ConfigurationError: The name is unknown, or that of a figure of another task.
        """
        return cls(OBJECTIVES[task][0] if name is None else name, max_budget, task)

    @property
    def is_usual(self) -> bool:
        """Whether it is the score that the task has unless another is asked for."""
        return self.name == self.measure

    @property
    def measure(self) -> str:
        """The usual figure of the task, such as `accuracy`: also that under whose curve the area is."""
        return OBJECTIVES[self.task][0]

    @property
    def is_fraction(self) -> bool:
        """Whether the score is a fraction, shown in percent."""
        return self.is_anytime or MEASURES[self.name].percent

    @property
    def lower_is_better(self) -> bool:
        """Whether the score is the negative of the figure of its name."""
        return not self.is_anytime and MEASURES[self.name].lower_is_better

    @property
    def is_anytime(self) -> bool:
        """Whether the score is the area under the anytime curve."""
        return self.name == ANYTIME

    @property
    def score_name(self) -> str:
        """Name of the score."""
        return AREA if self.is_anytime else f"valid_{self.name}"

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics beside the score that objectives of a search can name."""
        figures = [] if self.is_usual else [f"valid_{self.measure}"]
        if self.name == R2:
            figures.append(f"valid_{MAE}")
        return (*figures, "valid_loss")

    def score(self, metrics: Mapping[str, float]) -> float:
        """Return the score among the metrics of a network; higher is better."""
        value = metrics[self.score_name]
        return -value if self.lower_is_better else value

    def budget(self, input_shape: Shape, num_classes: int, scale: Mapping[str, int]) -> float:
        """Return the end of the area for these images and this size of networks, in MACs."""
        return float(self.max_budget or default_max_budget(input_shape, num_classes, scale))

    def settings(self, input_shape: Shape, num_classes: int, scale: Mapping[str, int]) -> dict[str, object]:
        """Return the entries for fingerprints; none for the accuracy of classes, which was the only score once."""
        task: dict[str, object] = {} if self.task == CLASSIFICATION else {"task": self.task}
        if self.is_usual:
            return task
        budget = {"max_budget": self.budget(input_shape, num_classes, scale)} if self.is_anytime else {}
        return {**task, "objective": {"name": self.name, **budget}}


def default_max_budget(input_shape: Shape, num_classes: int, scale: Mapping[str, int]) -> float:
    """Return the MACs of the last exit of the multi-scale dense network of the same width, for the same images.

    That is the published anytime network (G. Huang et al., ICLR 2018) with the `channels` of the candidates. It ends the areas of
    all candidates and of the baselines. The cost of the largest network of a space would end far beyond most candidates,
    and their areas would be little more than the accuracy of the last exit.

    Args:
        input_shape: `(channels, height, width)` of an image.
        num_classes: Classes of each exit.
        scale: Size of the candidates; without `channels` the network has 16, as published.
    """
    return _last_exit(tuple(input_shape), num_classes, scale.get("channels", _CHANNELS))


@lru_cache(maxsize=16)
def _last_exit(input_shape: Shape, num_classes: int, channels: int) -> float:
    return exit_macs(msdnet_plan(num_classes, input_shape[0], channels=channels), input_shape)[-1]


def exit_macs(plan: Plan, input_shape: Shape) -> tuple[float, ...]:
    """Return the MACs spent when each exit of a network answers, in order."""
    return tuple(float(cost.macs) for cost in exit_costs(plan, input_shape))


def unreachable(macs: Sequence[float], max_budget: float) -> str:
    """Return the error of a network whose first exit lies beyond the end of the area, else an empty string."""
    if macs[0] <= max_budget:
        return ""
    return f"the first exit costs {macs[0]:,.0f} MACs, beyond max_budget, {max_budget:,.0f}; give a larger one."


def area(macs: Sequence[float], accuracies: Sequence[float], chance: float, max_budget: float) -> float:
    """Return the area under the steps of a network's exits from 0 to `max_budget`, over its width: a mean accuracy."""
    return AnytimeCurve.of_exits(macs, accuracies, chance).auc(max_budget)
