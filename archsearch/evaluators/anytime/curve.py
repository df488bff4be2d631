"""Anytime curves: accuracy against compute budget, and the area under them.

Huang et al., "Multi-Scale Dense Networks for Resource Efficient Image Classification", ICLR 2018, for anytime prediction;
Zhang, Ren, Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, section 5.2, for the area as a score. The
latter gives no formula for the area; the one here is this project's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.evaluators.anytime.budgets import MACS, Budgets, check_unit
from archsearch.evaluators.pareto import pareto_front
from archsearch.evaluators.vectors import finite_pair

STEPS, TRAPEZOID, RUNNING_MAXIMUM = "steps", "trapezoid", "running_maximum"
AREA = "anytime_auc"
"""Metric: the area under the steps of a network's exits, up to a maximum budget that is common to all candidates."""

RULES = (STEPS, TRAPEZOID, RUNNING_MAXIMUM)
"""Rules for the accuracy at a budget between two points; see `AnytimeCurve`."""


@dataclass(frozen=True)
class AnytimeCurve:
    """The accuracy A(b) at a compute budget b, from points `(b_1, a_1), ..., (b_n, a_n)` with `b_1 < ... < b_n`.

    The points are the exits of one network, or the networks of a family. Accuracies need not rise. Three rules define A. All give
    chance for `b < b_1`, and all but the second give `a_n` for `b >= b_n`, as there is no later exit:

    * `steps`: `A(b) = a_k` for `b_k <= b < b_(k+1)`. The last exit that is reached answers.
    * `running_maximum`: `A(b) = max(chance, a_1, ..., a_k)`. The exit that was best on other images answers.
    * `trapezoid`: `A(b) = a_k + (a_(k+1) - a_k) (b - b_k) / (b_(k+1) - b_k)`. The mean accuracy of a batch of which a fraction
      stops at either exit, and what plots with straight lines show. It needs at least two points.

    Args:
        budgets: `[points]`, in the unit, strictly rising. Kept as a tuple.
        accuracies: `[points]`, fractions. Kept as a tuple.
        chance: Accuracy of guessing, before the first point, a fraction.
        unit: Unit of the budgets: `MACs` of one input, or measured milliseconds, `ms`.

    Raises:
        ConfigurationError: The lengths differ, budgets are negative or do not rise, an accuracy is no fraction, a number is
            NaN, or the unit is unknown.

    Example:
        >>> from archsearch.evaluators import AnytimeCurve
        >>> curve = AnytimeCurve([1e6, 4e6], [0.6, 0.9], chance=0.1)
        >>> curve.at([5e5, 2e6]).tolist()
        [0.1, 0.6]
        >>> round(curve.auc(8e6), 4)  # (1 * 0.1 + 3 * 0.6 + 4 * 0.9) / 8
        0.6875
    """

    budgets: Sequence[float]
    accuracies: Sequence[float]
    chance: float = 0.0
    unit: str = MACS

    def __post_init__(self) -> None:
        budgets, accuracies = finite_pair("budgets", self.budgets, "accuracies", self.accuracies)
        check_unit(self.unit)
        _check_ranges("budgets", budgets, "accuracies", accuracies, self.chance, self.unit)
        if (stuck := np.flatnonzero(np.diff(budgets) <= 0.0)).size:
            at = stuck[0]
            raise ConfigurationError(
                f"budgets: expected strictly rising {self.unit}; got {budgets[at + 1]} after {budgets[at]}. "
                "AnytimeCurve.from_family takes networks in any order."
            )
        object.__setattr__(self, "budgets", tuple(budgets.tolist()))
        object.__setattr__(self, "accuracies", tuple(accuracies.tolist()))
        object.__setattr__(self, "chance", float(self.chance))

    @classmethod
    def from_family(cls, costs: ArrayLike, scores: ArrayLike, chance: float = 0.0, unit: str = MACS) -> AnytimeCurve:
        """Return the best accuracy that networks of a family reach within each budget.

        Networks that are not better than a cheaper one, or than guessing, leave no point.

        Args:
            costs: `[networks]`, in the unit, in any order.
            scores: `[networks]`, accuracies as fractions.
            chance: Accuracy of guessing, a fraction.
            unit: `MACs` or `ms`.

        Raises:
            ConfigurationError: The lengths differ, a cost is negative, a score is no fraction, or a number is NaN.
        """
        cost, score = finite_pair("costs", costs, "scores", scores)
        _check_ranges("costs", cost, "scores", score, chance, unit)
        front = [at for at in pareto_front(cost, score) if score[at] > chance]
        return cls(cost[front].tolist(), score[front].tolist(), chance, unit)

    @classmethod
    def of_exits(cls, costs: ArrayLike, accuracies: ArrayLike, chance: float = 0.0, unit: str = MACS) -> AnytimeCurve:
        """Return the curve of a network's exits; of exits of equal cost the last one counts.

        Args:
            costs: `[exits]`, spent when each exit answers, never falling, such as those of `spaces.exits.exit_costs`.
            accuracies: `[exits]`, fractions, in the same order.
            chance: Accuracy of guessing, a fraction.
            unit: `MACs` or `ms`.

        Raises:
            ConfigurationError: The lengths differ, costs are negative or fall, an accuracy is no fraction, or a number is NaN.
        """
        cost, accuracy = finite_pair("costs", costs, "accuracies", accuracies)
        last = np.diff(cost, append=np.inf) != 0.0
        return cls(cost[last].tolist(), accuracy[last].tolist(), chance, unit)

    @overload
    def at(self, budget: float, rule: str = STEPS) -> float: ...

    @overload
    def at(self, budget: Sequence[float] | NDArray[np.float64], rule: str = STEPS) -> NDArray[np.float64]: ...

    def at(self, budget: float | Sequence[float] | NDArray[np.float64], rule: str = STEPS) -> float | NDArray[np.float64]:
        """Return the accuracy at a budget: by default that of the last point that costs at most that, or chance.

        Args:
            budget: A number or several, `[n]`, in any order, in the unit of the curve.
            rule: See the class.

        Raises:
            ConfigurationError: A budget is negative or NaN, or the rule is unknown or needs more points.
        """
        wanted = np.asarray(budget, dtype=np.float64)
        if not (wanted >= 0.0).all():
            raise ConfigurationError(f"budget: expected {self.unit} from 0; got {budget!r}.")
        curve = self._ruled(rule)
        passed = np.searchsorted(curve.budgets, wanted, side="right")
        values = np.array([curve.chance, *curve.accuracies])[passed]
        if rule == TRAPEZOID:
            values = np.where(passed == 0, curve.chance, np.interp(wanted, curve.budgets, curve.accuracies))
        return float(values) if wanted.ndim == 0 else values

    def expected(self, budgets: Budgets, rule: str = STEPS) -> float:
        """Return the expected accuracy `E[A(B)]` for budgets B of a distribution; exact for each rule.

        With `F(x) = P(B < x)`, `b_0 = 0`, `a_0 = chance` and `b_(n+1)` infinite, it is the sum over k from 0 to n of
        `a_k (F(b_(k+1)) - F(b_k))`, `F(b_0)` being 0. The trapezoid adds, for k from 1 to n - 1, the slope of the line from point
        k times `E[B - b_k; b_k <= B < b_(k+1)]`.

        Args:
            budgets: The distribution, in the unit of the curve.
            rule: See the class.

        Raises:
            ConfigurationError: The units differ, or the rule is unknown or needs more points.
        """
        if budgets.unit != self.unit:
            raise ConfigurationError(f"budgets: expected a distribution of {self.unit}, as the curve; got one of {budgets.unit}.")
        curve = self._ruled(rule)
        masses = np.diff(budgets.below(curve.budgets), prepend=0.0, append=1.0)
        total = float(masses @ np.array([curve.chance, *curve.accuracies]))
        if rule == TRAPEZOID:
            slopes = np.diff(curve.accuracies) / np.diff(curve.budgets)
            means = np.diff(budgets.partial_mean(curve.budgets))
            total += float(slopes @ (means - np.array(curve.budgets[:-1]) * masses[1:-1]))
        return total

    def auc(self, max_budget: float | None = None, rule: str = STEPS) -> float:
        """Return the mean accuracy over all budgets from 0 to `max_budget`: the area under the curve over its width.

        `(1 / B) * integral from 0 to B of A(b) db`, exact: `expected(Budgets.uniform(0, B))`.

        Args:
            max_budget: B, in the unit of the curve. Curves compare only with one in common: without it, small networks win.
                None takes the last point's, which then adds no area to the steps. Points beyond it do not count.
            rule: See the class.

        Raises:
            ConfigurationError: It is not above 0, there are neither points nor a budget, or the rule is unknown or needs more
                points.
        """
        if max_budget is None and not self.budgets:
            raise ConfigurationError(f"max_budget: expected {self.unit}, as the curve has no points; got None.")
        end = self.budgets[-1] if max_budget is None else float(max_budget)
        if not 0.0 < end < float("inf"):
            raise ConfigurationError(f"max_budget: expected finite {self.unit} above 0; got {end}.")
        return self.expected(Budgets.uniform(0.0, end, self.unit), rule)

    def compare(self, other: AnytimeCurve, over: Budgets | float | None = None, rule: str = STEPS) -> float:
        """Return this curve's expected accuracy minus that of another, a fraction.

        Args:
            other: A curve of the same task and unit.
            over: A distribution of budgets, or a maximum budget to which both curves are cut. None is for curves that end at the
                same budget.
            rule: See the class.

        Raises:
            ConfigurationError: The curves differ in chance or unit, or end at different budgets and `over` is None.
        """
        self._check_comparable(other)
        if over is None:
            ends = [curve.budgets[-1] if curve.budgets else 0.0 for curve in (self, other)]
            if ends[0] != ends[1]:
                raise ConfigurationError(
                    f"other: expected a curve that ends at {ends[0]} {self.unit}, as this one; got one that ends at {ends[1]}. "
                    f"Give over={min(ends) or max(ends)} to cut both there."
                )
            over = ends[0]
        if isinstance(over, Budgets):
            return self.expected(over, rule) - other.expected(over, rule)
        return self.auc(over, rule) - other.auc(over, rule)

    def cut(self, max_budget: float) -> AnytimeCurve:
        """Return the curve of the points within a budget.

        Raises:
            ConfigurationError: The budget is negative or NaN.
        """
        if not max_budget >= 0.0:
            raise ConfigurationError(f"max_budget: expected {self.unit} from 0; got {max_budget!r}.")
        kept = int(np.searchsorted(self.budgets, max_budget, side="right"))
        return replace(self, budgets=self.budgets[:kept], accuracies=self.accuracies[:kept])

    def running_maximum(self) -> AnytimeCurve:
        """Return the curve of the best point so far, or of chance if that is better: `max(chance, a_1, ..., a_k)` at b_k."""
        best = np.maximum.accumulate([self.chance, *self.accuracies])[1:]
        return replace(self, accuracies=best.tolist())

    def merge(self, *others: AnytimeCurve) -> AnytimeCurve:
        """Return the front: the best of all curves at each budget, `max over curves of A(b)` by the rule `steps`.

        Raises:
            ConfigurationError: The curves differ in chance or unit.
        """
        for other in others:
            self._check_comparable(other)
        budgets = sorted({budget for curve in (self, *others) for budget in curve.budgets})
        best = np.max([curve.at(budgets) for curve in (self, *others)], axis=0)
        return replace(self, budgets=budgets, accuracies=best.tolist())

    def _check_comparable(self, other: AnytimeCurve) -> None:
        if self.chance != other.chance:
            raise ConfigurationError(f"other: expected a curve with chance {self.chance}; got one with {other.chance}.")
        if self.unit != other.unit:
            raise ConfigurationError(f"other: expected a curve over {self.unit}; got one over {other.unit}.")

    def _ruled(self, rule: str) -> AnytimeCurve:
        """Return the curve whose points the rule uses; raise ConfigurationError for an unknown rule or too few points."""
        if rule not in RULES:
            raise ConfigurationError(unknown_name("rule", rule, RULES))
        if rule == TRAPEZOID and len(self.budgets) < 2:
            raise ConfigurationError(
                f"rule: trapezoid joins two points at least; the curve has {len(self.budgets)}. Take the rule {STEPS!r}."
            )
        return self.running_maximum() if rule == RUNNING_MAXIMUM else self


def _check_ranges(
    cost_argument: str, costs: NDArray[np.float64], score_argument: str, scores: NDArray[np.float64], chance: float, unit: str
) -> None:
    """Raise ConfigurationError for negative costs, and for scores or a chance outside 0..1."""
    if (costs < 0.0).any():
        raise ConfigurationError(f"{cost_argument}: expected {unit} from 0; got {costs.min()}.")
    fractions = np.append(scores, chance)
    if (unfit := np.flatnonzero(~((fractions >= 0.0) & (fractions <= 1.0)))).size:
        raise ConfigurationError(
            f"{score_argument} and chance: expected fractions from 0 to 1; got {fractions[unfit[0]]}. Divide percent by 100."
        )
