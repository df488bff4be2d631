"""Accuracy against compute budget.

Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, for anytime prediction;
Zhang, Ren, Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, section 5.2, for the area as a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.pareto import pareto_front
from archsearch.evaluators.vectors import finite_pair


@dataclass(frozen=True)
class AnytimeCurve:
    """A step function: the accuracy that a budget buys.

    The points are the exits of one network, or the networks of a family. Accuracies need not rise.

    Args:
        budgets: `[points]`, MACs of one input, strictly rising. Kept as a tuple.
        accuracies: `[points]`, fractions. Kept as a tuple.
        chance: Accuracy of guessing, before the first point, a fraction.

    Raises:
        ConfigurationError: The lengths differ, budgets are negative or do not rise, an accuracy is no fraction, or a number is
            NaN.
    """

    budgets: Sequence[float]
    accuracies: Sequence[float]
    chance: float = 0.0

    def __post_init__(self) -> None:
        budgets, accuracies = finite_pair("budgets", self.budgets, "accuracies", self.accuracies)
        _check_ranges("budgets", budgets, "accuracies", accuracies, self.chance)
        if (stuck := np.flatnonzero(np.diff(budgets) <= 0.0)).size:
            at = stuck[0]
            raise ConfigurationError(
                f"budgets: expected strictly rising MACs; got {budgets[at + 1]} after {budgets[at]}. "
                "AnytimeCurve.from_family takes networks in any order."
            )
        object.__setattr__(self, "budgets", tuple(budgets.tolist()))
        object.__setattr__(self, "accuracies", tuple(accuracies.tolist()))
        object.__setattr__(self, "chance", float(self.chance))

    @classmethod
    def from_family(cls, costs: ArrayLike, scores: ArrayLike, chance: float = 0.0) -> AnytimeCurve:
        """Return the best accuracy that networks of a family reach within each budget.

        Networks that are not better than a cheaper one, or than guessing, leave no point.

        Args:
            costs: `[networks]`, MACs, in any order.
            scores: `[networks]`, accuracies as fractions.
            chance: Accuracy of guessing, a fraction.

        Raises:
            ConfigurationError: The lengths differ, a cost is negative, a score is no fraction, or a number is NaN.
        """
        cost, score = finite_pair("costs", costs, "scores", scores)
        _check_ranges("costs", cost, "scores", score, chance)
        front = [at for at in pareto_front(cost, score) if score[at] > chance]
        return cls(cost[front].tolist(), score[front].tolist(), chance)

    def at(self, budget: float) -> float:
        """Return the accuracy of the last point that costs at most `budget` MACs, or chance before the first."""
        if not budget >= 0.0:
            raise ConfigurationError(f"budget: expected MACs from 0; got {budget!r}.")
        passed = int(np.searchsorted(self.budgets, budget, side="right"))
        return self.accuracies[passed - 1] if passed else self.chance

    def auc(self, max_budget: float | None = None) -> float:
        """Return the mean accuracy over all budgets from 0 to `max_budget`: the exact area of the steps over their width.

        Args:
            max_budget: In MACs. Curves compare only with one in common. None takes the last point's, which then adds no area.

        Raises:
            ConfigurationError: It is not above 0, or there are neither points nor a budget.
        """
        if max_budget is None and not self.budgets:
            raise ConfigurationError("max_budget: expected MACs, as the curve has no points; got None.")
        end = self.budgets[-1] if max_budget is None else float(max_budget)
        if not 0.0 < end < float("inf"):
            raise ConfigurationError(f"max_budget: expected finite MACs above 0; got {end}.")
        edges = np.array([0.0, *self.budgets, end]).clip(max=end)
        return float(np.diff(edges) @ np.array([self.chance, *self.accuracies]) / end)

    def merge(self, other: AnytimeCurve) -> AnytimeCurve:
        """Return the better of two curves at each budget.

        Raises:
            ConfigurationError: The curves differ in chance, so they are about different tasks.
        """
        if self.chance != other.chance:
            raise ConfigurationError(f"other: expected a curve with chance {self.chance}; got one with {other.chance}.")
        budgets = sorted({*self.budgets, *other.budgets})
        return AnytimeCurve(budgets, [max(self.at(budget), other.at(budget)) for budget in budgets], self.chance)


def _check_ranges(
    cost_argument: str, costs: NDArray[np.float64], score_argument: str, scores: NDArray[np.float64], chance: float
) -> None:
    """Refuse negative costs, and scores or a chance that are no fractions."""
    if (costs < 0.0).any():
        raise ConfigurationError(f"{cost_argument}: expected MACs from 0; got {costs.min()}.")
    fractions = np.append(scores, chance)
    if (unfit := np.flatnonzero(~((fractions >= 0.0) & (fractions <= 1.0)))).size:
        raise ConfigurationError(
            f"{score_argument} and chance: expected fractions from 0 to 1; got {fractions[unfit[0]]}. Divide percent by 100."
        )
