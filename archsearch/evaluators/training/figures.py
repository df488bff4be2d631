"""Metrics and curves of a candidate in training, from the scores of its network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.score_names import MAE, REGRESSION
from archsearch.evaluators.score_objective import area
from archsearch.evaluators.training.scoring import Score
from archsearch.evaluators.training.task import TrainingTask
from archsearch.spaces import Architecture
from archsearch.spaces.cost import Cost

# A backward pass costs about twice a forward pass.
_PASSES = 3

Figures = tuple[dict[str, float], dict[str, tuple[float, ...]]]
"""Metrics, and curves over the exits, by name."""


class CandidateFigures:
    """The figures of one candidate; its costs are counted once.

    Args:
        task: What its training depends on.
        architecture: The candidate.
    """

    def __init__(self, task: TrainingTask, architecture: Architecture) -> None:
        self._task, self._architecture = task, architecture

    def costs(self, epochs: int) -> dict[str, float]:
        """Return what the candidate costs, and what `epochs` epochs of its training cost.

        `macs_paid` are the multiply-accumulates of the training: passes x epochs x images x replicas x those of one input.
        """
        task = self._task
        passes = _PASSES * epochs * len(task.images.splits.train) * task.repeats
        return {
            "params": float(self._cost.params),
            "macs": float(self._cost.macs),
            "macs_paid": float(self._cost.macs) * passes,
            "epochs": float(epochs),
        }

    def validation(self, scores: Sequence[Score]) -> Figures:
        """Return the figures of the validation images.

        Args:
            scores: Those of each exit, in order.
        """
        return self._of(scores, "valid", "")

    def test(self, scores: Sequence[Score]) -> Figures:
        """Return the figures of the test images, which no searcher sees; `scores` as for `validation`."""
        return self._of(scores, "test", "test_")

    @cached_property
    def exit_macs(self) -> tuple[float, ...]:
        """The MACs spent when each exit answers, in order."""
        return self._task.exit_macs(self._architecture)

    @cached_property
    def _cost(self) -> Cost:
        task = self._task
        return task.space.cost(self._architecture, **task.cost_arguments)

    def _of(self, scores: Sequence[Score], part: str, prefix: str) -> Figures:
        objective = self._task.objective
        means = [{name: float(values.mean()) for name, values in score.figures.items()} for score in scores]
        shown = {objective.measure, "loss", objective.name} | ({MAE} if objective.task == REGRESSION else set())
        metrics = {f"{part}_{name}": value for name, value in means[-1].items() if name in shown}
        if len(scores) == 1 and not objective.is_anytime:
            return metrics, {}
        exits = tuple(mean[objective.measure] for mean in means)
        if objective.is_anytime:
            metrics[f"{prefix}{AREA}"] = area(self.exit_macs, exits, self._task.chance, self._task.max_budget)
        return metrics, {f"{prefix}exit_{objective.measure}": exits, "exit_macs": self.exit_macs}


def curve_names(task: TrainingTask) -> tuple[str, ...]:
    """Return the metrics that have a curve over the epochs, of the same name."""
    objective = task.objective
    names = [f"valid_{objective.measure}"]
    return tuple(names if objective.is_usual or objective.is_anytime else [*names, objective.score_name])
