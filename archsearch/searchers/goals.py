"""Objectives and constraints of a search."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.latency_meter import LatencyMeter
from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.evaluation import Evaluation, is_report_only
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.plain_number import plain_number
from archsearch.evaluators.score_names import ACCURACY, BALANCED, LATENCY, MAE, MEAN_AVERAGE_PRECISION, MEASURES, R2
from archsearch.searchers.fitness import steps_reached
from archsearch.spaces import Architecture, SearchSpace

SCORE = "score"
USUAL_COSTS = ("macs", "params", LATENCY)
Costs = Callable[[Architecture], Mapping[str, float]]

_RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_LIMIT = re.compile(r"\s*(<=|>=|<|>)\s*(\S+)\s*")
_DRAWS = 20_000
_SHORT = {AREA: "anytime"} | {f"valid_{name}": name for name in MEASURES if name != ACCURACY}
"""Names of objectives for scores that are no accuracies."""
_USUAL = {
    **dict.fromkeys(("acc", "top1", "top-1", "val_acc", "valid_acc", "val_accuracy", "validation_accuracy"), "accuracy"),
    **dict.fromkeys(("map", "mean_ap", "ap"), MEAN_AVERAGE_PRECISION),
    **dict.fromkeys(("mean_absolute_error", "l1", "error"), MAE),
    **dict.fromkeys(("r_squared", "r^2", "rsquared"), R2),
    **dict.fromkeys(("bal_acc", "bacc", "balanced", "balanced_acc"), BALANCED),
    **dict.fromkeys(("flops", "mac", "mult_adds", "madds"), "macs"),
    **dict.fromkeys(("param", "parameters", "num_params", "n_params", "weights", "size"), "params"),
    **dict.fromkeys(("loss", "val_loss"), "valid_loss"),
}
"""What usual short names of figures mean, for suggestions."""


@dataclass(frozen=True)
class Objective:
    """A figure to maximise or minimise.

    Args:
        name: `score`, a cost such as `macs`, or another metric of the evaluations.
        maximize: Whether higher is better.

    Example:
        >>> from archsearch.searchers import Objective
        >>> str(Objective("macs", maximize=False))
        '-macs'
    """

    name: str
    maximize: bool = True

    def __post_init__(self) -> None:
        check_kind("objective", self.name, str, "the name of a figure, such as 'score' or 'macs'")
        check_kind("maximize", self.maximize, bool, "True or False")

    def __str__(self) -> str:
        return self.name if self.maximize else f"-{self.name}"


@dataclass(frozen=True)
class Constraint:
    """A bound on a cost that is known before an evaluation.

    Args:
        name: The cost, such as `macs`.
        relation: `<=`, `>=`, `<` or `>`.
        bound: Limit, in the unit of the cost.

    Example:
        >>> from archsearch.searchers import Constraint
        >>> Constraint("macs", "<=", 100e6).excess(150e6)
        0.5
    """

    name: str
    relation: str
    bound: float

    def __post_init__(self) -> None:
        check_kind("constraint", self.name, str, "the name of a cost, such as 'macs'")
        if self.relation not in _RELATIONS:
            raise ConfigurationError(f"constraint: expected one of {', '.join(_RELATIONS)}; got {self.relation!r}.")
        number = plain_number(self.bound)
        if number is None or not math.isfinite(number):
            raise ConfigurationError(f"constraint: expected a finite number for {self.name}; got {self.bound!r}.")

    def excess(self, value: float) -> float:
        """Return 0 for a feasible value, else |value - bound| / |bound|; infinity for NaN."""
        if _RELATIONS[self.relation](value, self.bound):
            return 0.0
        gap = abs(value - self.bound) / max(abs(self.bound), 1e-12)
        return max(gap, 1e-9) if math.isfinite(gap) else math.inf

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:g}"


@dataclass(frozen=True)
class Goals:
    """Objectives and constraints of a search.

    Args:
        objectives: One or more objectives; by default the score alone.
        constraints: Constraints that every candidate must satisfy.
        costs: Function that returns the costs of an architecture by name, without an evaluation.
        cost_names: Names of these costs.
        latency: Function that measures the cost `latency_ms` of an architecture; None if no goal names it.

    Example:
        >>> from archsearch.searchers import Goals, Objective
        >>> Goals((Objective("score"), Objective("macs", maximize=False)), cost_names=("macs",)).single
        False
    """

    objectives: tuple[Objective, ...] = (Objective(SCORE),)
    constraints: tuple[Constraint, ...] = ()
    costs: Costs | None = None
    cost_names: tuple[str, ...] = ()
    latency: LatencyMeter | None = None

    def __post_init__(self) -> None:
        for argument, entries, kind in (
            ("objectives", self.objectives, Objective),
            ("constraints", self.constraints, Constraint),
        ):
            if not isinstance(entries, tuple) or not all(isinstance(entry, kind) for entry in entries):
                raise ConfigurationError(f"{argument}: expected a tuple of {kind.__name__} objects; got {entries!r}.")
        if not self.objectives:
            raise ConfigurationError("objectives: expected one at least, such as Objective('score'); got none.")
        unknown = [each.name for each in self.constraints if each.name not in (*self.cost_names, LATENCY)]
        if unknown:
            raise ConfigurationError(
                f"constraints: {unknown[0]} is not among the costs that are known before an evaluation: "
                f"{', '.join(self.cost_names) or 'none'}. Add it to costs and cost_names, or take those of goals_for(evaluator)."
            )

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the objectives that only an evaluation gives, without the score."""
        return tuple(each.name for each in self.objectives if each.name != SCORE and each.name not in self.cost_names)

    @property
    def measured(self) -> tuple[bool, ...]:
        """Whether each objective needs an evaluation, so that its value depends on the number of steps."""
        return tuple(each.name not in self.cost_names for each in self.objectives)

    @property
    def single(self) -> bool:
        """Whether the score is the only objective."""
        return self.objectives == (Objective(SCORE),)

    def excess(self, architecture: Architecture) -> float:
        """Return 0 for an architecture that satisfies all constraints, else the sum of `Constraint.excess`.

        Latency is measured only if all else is satisfied. One that cannot be measured although a goal names it is infinite.
        """
        counted = self.counted_excess(architecture)
        if counted > 0.0 or self.latency is None:
            return counted
        value = self.latency(architecture)
        if math.isnan(value):
            return math.inf
        return sum(constraint.excess(value) for constraint in self.constraints if constraint.name == LATENCY)

    def counted_excess(self, architecture: Architecture) -> float:
        """Return the same for the constraints on costs that need no measurement."""
        limits = [each for each in self.constraints if self.latency is None or each.name != LATENCY]
        costs = self._costs(architecture) if limits else {}
        return sum(constraint.excess(costs.get(constraint.name, math.nan)) for constraint in limits)

    def figures(self, evaluation: Evaluation) -> dict[str, float]:
        """Return the value of each objective by name; NaN if the evaluation lacks it."""
        names = [each.name for each in self.objectives]
        costs = self._costs(evaluation.architecture) if any(name in self.cost_names for name in names) else {}
        known = {**evaluation.metrics, **costs, SCORE: evaluation.score}
        return {name: known.get(name, math.nan) for name in names}

    def values(self, evaluation: Evaluation) -> tuple[float, ...]:
        """Return the values of the objectives in their order, negated where lower is better, so that larger is better."""
        if self.single:
            return (evaluation.score,)
        figures = self.figures(evaluation)
        return tuple(figures[each.name] if each.maximize else -figures[each.name] for each in self.objectives)

    def order(self, evaluation: Evaluation) -> tuple[float, ...]:
        """Return a sort key, larger is better: the steps reached, infinite for a complete evaluation, and then the `values`."""
        return (steps_reached(evaluation.fidelity), *self.values(evaluation))

    def require_feasible(self, space: SearchSpace, rng: np.random.Generator, draws: int = _DRAWS) -> None:
        """Raise ConfigurationError unless one of `draws` random architectures satisfies the constraints.

        Raises:
            ConfigurationError: None did; the message shows the nearest one.
        """
        nearest: tuple[float, Architecture] | None = None
        for _ in range(draws if self.constraints else 0):
            architecture = space.sample(rng)
            excess = self.counted_excess(architecture)
            if excess == 0.0:
                return
            if nearest is None or excess < nearest[0]:
                nearest = excess, architecture
        if nearest is not None:
            costs = self._costs(nearest[1])
            seen = ", ".join(f"{each.name} = {costs.get(each.name, math.nan):g}" for each in self.constraints)
            raise ConfigurationError(
                f"constraints: none of {draws:,} random architectures of {space.name} keeps "
                f"{' and '.join(map(str, self.constraints))}; the nearest has {seen} ({nearest[1]}). Loosen them."
            )

    def with_predicted(
        self, architectures: Sequence[Architecture], predicted: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Return predicted values of the objectives, `[architectures, objectives]`, larger is better; costs are exact.

        Args:
            architectures: Architectures without an evaluation.
            predicted: Predictions of the objectives that are no costs, by name, `[architectures]` each, larger is better.
        """
        columns = []
        for objective in self.objectives:
            if objective.name in predicted:
                columns.append(np.asarray(predicted[objective.name], dtype=np.float64))
            else:
                costs = np.array([self._costs(each).get(objective.name, math.nan) for each in architectures])
                columns.append(costs if objective.maximize else -costs)
        return np.stack(columns, axis=1)

    def _costs(self, architecture: Architecture) -> Mapping[str, float]:
        assert self.costs is not None, "objectives and constraints on costs come with a function that gives them"
        return self.costs(architecture)


def goals_for(evaluator: Evaluator, objectives: Sequence[str] = (SCORE,), constraints: Mapping[str, str] | None = None) -> Goals:
    """Return the goals that strings describe. The score must be among the objectives, because results are ranked by it.

    Args:
        evaluator: Evaluator with the costs and metrics.
        objectives: Names of figures to maximise, with a minus sign to minimise: `["accuracy", "-macs"]`. `score` and `accuracy`
            are the evaluator's score; if that is the area under the anytime curve, `score` and `anytime` are, and if it is
            another figure, such as the balanced accuracy, `score` and its name. An error, such as `mae`, is lowered with or
            without the sign.
        constraints: Limits for costs: `{"macs": "<= 100e6", "params": ">= 1e5, <= 1e6"}`.

    Raises:
        ConfigurationError: A name is unknown or measured on test data, or a limit cannot be read.
    """
    check_kind("evaluator", evaluator, Evaluator, "an evaluator, such as TabularEvaluator.embedded('digits201')")
    cost_names = _cost_names(evaluator)
    limits = tuple(limit for name, text in (constraints or {}).items() for limit in _limits(name, text, cost_names))
    if isinstance(objectives, str) or not objectives:
        raise ConfigurationError(f"objectives: expected a list such as ['accuracy', '-macs']; got {objectives!r}.")
    aims = tuple(_objective(text, evaluator) for text in objectives)
    names = [aim.name for aim in aims]
    if SCORE not in names:
        raise ConfigurationError(f"objectives: expected the score among them; got {list(objectives)}. Add 'accuracy'.")
    if len(set(names)) < len(names):
        raise ConfigurationError(f"objectives: expected each figure once; got {list(objectives)}.")
    costs, meter = _costs_of(evaluator), None
    conditions = evaluator.latency_conditions
    if LATENCY not in evaluator.cost_names and LATENCY in (*names, *(limit.name for limit in limits)):
        assert conditions is not None, "else the name is unknown"
        meter = LatencyMeter(evaluator.space, conditions, evaluator.cost_arguments)
        costs = partial(_WithLatency, costs, meter)
    known = cost_names if meter is not None else tuple(evaluator.cost_names)
    return Goals(aims, limits, costs, known, meter)


def _cost_names(evaluator: Evaluator) -> tuple[str, ...]:
    """Return the names of the costs, with that of the latency if it can be measured before an evaluation."""
    measured = (LATENCY,) if evaluator.latency_conditions is not None and LATENCY not in evaluator.cost_names else ()
    return (*evaluator.cost_names, *measured)


class _WithLatency(Mapping[str, float]):
    """The costs of an architecture, with its latency, which is measured when it is looked up."""

    def __init__(self, costs: Costs, latency: LatencyMeter, architecture: Architecture) -> None:
        self._costs, self._latency, self._architecture = costs(architecture), latency, architecture

    def __getitem__(self, name: str) -> float:
        return self._latency(self._architecture) if name == LATENCY else self._costs[name]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._costs, LATENCY)

    def __len__(self) -> int:
        return len(self._costs) + 1


def _costs_of(evaluator: Evaluator) -> Costs:
    """Return the evaluator's cost function; if the space counts the costs, one that does not hold the evaluator's images."""
    if type(evaluator).costs is Evaluator.costs:
        return partial(_counted, evaluator.space, dict(evaluator.cost_arguments))
    return evaluator.costs


def _counted(space: SearchSpace, arguments: Mapping[str, Any], architecture: Architecture) -> dict[str, float]:
    cost = space.cost(architecture, **arguments)
    return {"params": float(cost.params), "macs": float(cost.macs)}


def _objective(text: str, evaluator: Evaluator) -> Objective:
    if not isinstance(text, str):
        raise ConfigurationError(f"objectives: expected names such as 'accuracy' or '-macs'; got {text!r}.")
    name = text.strip().removeprefix("-").removeprefix("+").strip()
    maximize = not text.strip().startswith("-")
    short = _SHORT.get(evaluator.score_name, "accuracy")
    if name == "accuracy" and short != name and f"valid_{name}" in evaluator.metric_names:
        name = "valid_accuracy"  # the score is another figure
    if name in (SCORE, evaluator.score_name, short):
        if not maximize and not evaluator.lower_is_better:
            raise ConfigurationError(f"objectives: the score is to be raised; got {text!r}. Write it without the minus sign.")
        return Objective(SCORE)
    if is_report_only(name):
        raise ConfigurationError(f"objectives: {name!r} is measured on test data, which no searcher may see; choose another.")
    known = (SCORE, short, *_cost_names(evaluator), *(each for each in evaluator.metric_names if not is_report_only(each)))
    if name not in known:
        raise ConfigurationError(f"objectives: {_unknown_figure(name, known)}")
    return Objective(name, maximize)


def _unknown_figure(name: str, known: Sequence[str]) -> str:
    """Return the error message for a figure that is not known, with the one that is meant by a usual short name."""
    meant = _USUAL.get(name.lower())
    if meant in known:
        return f"figure: expected one of {', '.join(sorted(set(known)))}; got {name!r}. Did you mean {meant!r}?"
    if meant == BALANCED or name == BALANCED:
        return f"figure: {name!r} is a score of trainings alone; expected one of {', '.join(sorted(set(known)))}."
    return unknown_name("figure", name, dict.fromkeys(known))


def _limits(name: str, text: str, known: Sequence[str]) -> list[Constraint]:
    if name not in known:
        reason = unknown_name("cost", name, known)
        raise ConfigurationError(f"constraints: {reason} Only what is known before an evaluation can be constrained.")
    limits = []
    for part in str(text).split(","):
        match = _LIMIT.fullmatch(part)
        try:
            bound = float(match[2]) if match else math.nan
        except ValueError:
            bound = math.nan
        if match is None or not math.isfinite(bound):
            raise ConfigurationError(
                f"constraints[{name!r}]: expected limits such as '<= 100e6' or '>= 1e5, <= 1e6'; got {text!r}."
            )
        limits.append(Constraint(name, match[1], bound))
    return limits
