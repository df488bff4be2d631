"""Pareto front and hypervolume of the objectives of a search."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.pareto import dominated_volume, non_dominated
from archsearch.platform import units
from archsearch.platform.summary import SearchSummary
from archsearch.searchers.goals import SCORE, Objective

Objectives = tuple[Objective, ...]


def objective_values(summary: SearchSummary, objectives: Objectives) -> NDArray[np.float64]:
    """Return the values of objectives in order of proposal, `[candidates, objectives]`, negated where lower is better.

    A row is NaN if the evaluation failed or lacks one of the values.

    Raises:
        ConfigurationError: The search has no such metric.
    """
    for objective in objectives:
        if objective.name != SCORE and objective.name not in summary.evaluations.column_names:
            raise ConfigurationError(
                f"cost: expected a metric of the search; got {objective.name!r}. Columns: {summary.evaluations.column_names}."
            )
    columns = [_figures(summary, each) for each in objectives]
    signed = [column if each.maximize else -column for each, column in zip(objectives, columns, strict=True)]
    values = np.stack(signed, axis=1)
    return np.where(np.isfinite(values).all(axis=1, keepdims=True) & np.isfinite(summary.final_scores)[:, None], values, math.nan)


def front(summary: SearchSummary, objectives: Objectives | None = None) -> NDArray[np.int64]:
    """Return the indices of the Pareto-optimal candidates, by rising score; of candidates with equal values only the first.

    Args:
        summary: The search.
        objectives: Objectives; None takes those of the search.
    """
    values = objective_values(summary, objectives or summary.objectives)
    rows = np.flatnonzero(np.isfinite(values).all(axis=1))
    best = rows[non_dominated(values[rows])] if len(rows) else rows
    return best[np.argsort(summary.final_scores[best], kind="stable")]


def reference_point(summary: SearchSummary) -> dict[str, float]:
    """Return the reference point of the hypervolume, by objective.

    It is the chance accuracy for the score and 0 for other objectives to be raised. For an objective to be lowered it is the
    upper limit of its constraint, else the smallest power of ten that is at least the largest value seen. It is thus equal for
    nearly all searches of a task, so that their hypervolumes compare.
    """
    reference = {}
    for objective in summary.objectives:
        if objective.name == SCORE:
            reference[SCORE] = summary.chance
        elif objective.maximize:
            reference[objective.name] = 0.0
        else:
            largest = float(np.nanmax(np.append(summary.column(objective.name), 1e-9)))
            limit = _upper_limit(summary, objective.name)
            reference[objective.name] = limit or float(10.0 ** math.ceil(math.log10(max(largest, 1e-9))))
    return reference


def hypervolume(summary: SearchSummary, reference: Mapping[str, float] | None = None) -> float:
    """Return the volume that the Pareto front dominates, bounded by a reference point; larger is better.

    Args:
        summary: The search.
        reference: A value for each objective. None takes `reference_point` and divides objectives to be lowered by their value
            there, so that a network of accuracy 1 and cost 0 would reach 1 - chance.

    Raises:
        ConfigurationError: The reference lacks an objective, or names another.
    """
    objectives = summary.objectives
    names = [objective.name for objective in objectives]
    if reference is not None and set(reference) != set(names):
        raise ConfigurationError(f"reference: expected a number for each of {names}; got {dict(reference)}.")
    bounds = reference_point(summary) if reference is None else dict(reference)
    signs = np.array([1.0 if objective.maximize else -1.0 for objective in objectives])
    point = signs * [bounds[name] for name in names]
    values = objective_values(summary, objectives)
    units = np.array([abs(bounds[each.name]) or 1.0 if reference is None and not each.maximize else 1.0 for each in objectives])
    rows = np.isfinite(values).all(axis=1)
    return dominated_volume(values[rows] / units, point / units)


def front_table(summary: SearchSummary) -> list[list[str]]:
    """Return the Pareto front as strings: a heading, then one row per candidate, the architecture last."""
    rows, objectives = front(summary), summary.objectives
    columns = {
        _heading(each, summary): [_shown(value, each, summary) for value in _figures(summary, each)[rows]] for each in objectives
    }
    texts = summary.in_order("architecture")
    names = [*columns, "architecture"]
    return [names, *([*(cells[index] for cells in columns.values()), texts[row]] for index, row in enumerate(rows.tolist()))]


def _figures(summary: SearchSummary, objective: Objective) -> NDArray[np.float64]:
    return summary.final_scores if objective.name == SCORE else summary.column(objective.name)


def _heading(objective: Objective, summary: SearchSummary) -> str:
    if objective.name == SCORE:
        return summary.loss or ("score %" if summary.percent else "score")
    return "MACs" if objective.name == "macs" else objective.name


def _shown(value: float, objective: Objective, summary: SearchSummary) -> str:
    if objective.name == SCORE:
        return summary.shown(value)
    return units.quantity(value) if abs(value) >= 1000.0 else f"{value:.4g}"


def _upper_limit(summary: SearchSummary, name: str) -> float | None:
    text = str(summary.settings.get("constraints", {}).get(name, ""))
    limits = [float(number) for number in re.findall(r"<=?\s*([^\s,]+)", text)]
    return min(limits) if limits else None
