"""Outcome of a comparison of searchers: means over seeds at an equal number of candidates and at equal cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.metrics import Interval
from archsearch.platform.comparison.equal_cost import AtCost, CostCurve, at_cost, common_cost, over_seeds
from archsearch.platform.result import SearchResult
from archsearch.platform.trade_off import hypervolume


@dataclass(frozen=True)
class MethodOutcome:
    """Results of one searcher over all seeds.

    Args:
        searcher: Name of the searcher, with that of its scheduler if it has one, such as `evolution + asha`.
        results: One search per seed.
        costs: One cost curve per seed.
    """

    searcher: str
    results: tuple[SearchResult, ...]
    costs: tuple[CostCurve, ...]

    @property
    def curves(self) -> list[NDArray[np.float64]]:
        """Scores of each search in order of proposal, `[candidates]` each."""
        return [result.summary.final_scores for result in self.results]

    def best(self, metric: str = "score") -> Interval:
        """Return the mean over seeds, with its 95 % interval, of a metric of each search's best architecture."""
        values = [found.score if metric == "score" else found.metrics[metric] for found in self._bests()]
        return over_seeds(values) or Interval(math.nan, math.nan, math.nan)

    @property
    def hypervolume(self) -> Interval:
        """Mean over seeds, with its 95 % interval, of the hypervolume of each search's Pareto front."""
        return over_seeds([hypervolume(result.summary) for result in self.results]) or Interval(math.nan, math.nan, math.nan)

    @property
    def test_metric(self) -> str | None:
        """`test_accuracy` if the searches have that metric, else None."""
        names = self.results[0].evaluations.column_names
        return "test_accuracy" if "test_accuracy" in names else None

    @property
    def seconds(self) -> float:
        """Mean wall-clock seconds of a search."""
        return float(np.mean([result.summary.costs["total"] for result in self.results]))

    def _bests(self) -> list[Any]:
        return [result.best for result in self.results]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Searchers compared at an equal number of candidates, and at equal cost.

    Args:
        study: Name shared by the MLflow runs of all searches (tag `study`).
        outcomes: One per searcher, best first.
        folder: Folder of the figure and the tables.
        address: Address of the study's charts on an MLflow server; None if the store is no server, or was not reached.
    """

    study: str
    outcomes: tuple[MethodOutcome, ...]
    folder: Path
    address: str | None = None

    def __repr__(self) -> str:
        return f"Comparison({self.study!r}: {', '.join(outcome.searcher for outcome in self.outcomes)})"

    @property
    def simulated_workers(self) -> int | None:
        """Number of simulated workers of all searches; None if real ones trained the candidates."""
        found: int | None = self.outcomes[0].results[0].summary.settings.get("simulated_workers")
        return found

    @property
    def delay(self) -> str:
        """A sentence on the delay with which all searchers were told scores; empty for trainings, which take what they take."""
        if (workers := self.simulated_workers) is None:
            return ""
        after = "before its next proposal" if workers == 1 else f"after {workers - 1} further proposal{'s' * (workers > 2)}"
        plural = "s" if workers > 1 else ""
        return f"{workers} simulated worker{plural}: each searcher was told the score of a proposal {after}."

    def text(self) -> str:
        """Return both tables, with the delay of scores if it was simulated."""
        tables = f"At an equal number of candidates\n{self.table()}\n\n{self.cost_table()}"
        return f"{tables}\n\n{self.delay}" if self.delay else tables

    def table(self) -> str:
        """Return mean and interval of each searcher at an equal number of candidates as a plain-text table."""
        summary = self.outcomes[0].results[0].summary
        factor, unit = (100.0, " (%)") if summary.percent else (1.0, "")
        test = self.outcomes[0].test_metric
        heads = ["searcher", "seeds", f"best {summary.score_name}{unit}", "95 % interval"]
        heads += ["its test accuracy (%)", "95 % interval"] if test else []
        heads += ["hypervolume", "95 % interval"] if summary.is_multi_objective else []
        rows = [[*heads, "s/search"]]
        for outcome in self.outcomes:
            seeds = len(outcome.results)
            row = [outcome.searcher, str(seeds), *_interval(outcome.best(), factor, seeds)]
            row += _interval(outcome.best(test), 100.0, seeds) if test else []
            row += _interval(outcome.hypervolume, 1.0, seeds, 4) if summary.is_multi_objective else []
            rows.append([*row, f"{outcome.seconds:.1f}"])
        return _text_table(rows)

    @property
    def costs_known(self) -> bool:
        """Whether all searches have recorded the cost of their evaluations."""
        return all(curve.evaluating > 0.0 for outcome in self.outcomes for curve in outcome.costs)

    @property
    def cost(self) -> float:
        """Budget of the comparison at equal cost: seconds of the cheapest search, including those of its surrogate."""
        return common_cost([curve for outcome in self.outcomes for curve in outcome.costs])

    def at_cost(self, seconds: float | None = None) -> tuple[AtCost, ...]:
        """Return the results of each searcher within a cost, best first.

        Args:
            seconds: The cost, seconds; None takes `cost`.
        """
        budget = self.cost if seconds is None else seconds
        rows = [at_cost(outcome.searcher, outcome.costs, budget) for outcome in self.outcomes]
        return tuple(sorted(rows, key=lambda row: -row.best.value if row.best else math.inf))

    def cost_table(self) -> str:
        """Return mean and interval of each searcher at equal cost as a plain-text table, or a sentence if costs are not known."""
        if not self.costs_known:
            return (
                "They cannot be compared at equal cost: the evaluator does not say what an evaluation costs (column `seconds`)."
            )
        summary = self.outcomes[0].results[0].summary
        factor, unit = (100.0, " (%)") if summary.percent else (1.0, "")
        test = self.outcomes[0].test_metric
        heads = ["searcher", "seeds", f"best {summary.score_name}{unit}", "95 % interval"]
        heads += ["its test accuracy (%)", "95 % interval"] if test else []
        rows = [[*heads, "candidates", "searcher s", "whole search s"]]
        seeds = len(self.outcomes[0].results)
        totals = {outcome.searcher: float(np.mean([curve.total for curve in outcome.costs])) for outcome in self.outcomes}
        for row in self.at_cost():
            cells = [row.searcher, str(seeds), *_interval(row.best, factor, seeds)]
            cells += _interval(row.test, 100.0, seeds) if test else []
            rows.append([*cells, f"{row.candidates:.1f}", f"{row.own:,.1f}", f"{totals[row.searcher]:,.0f}"])
        return f"At equal cost, {self.cost:,.0f} seconds each\n{_text_table(rows)}"


def _interval(interval: Interval | None, factor: float, seeds: int, digits: int = 2) -> list[str]:
    if interval is None:
        return ["none yet", ""]
    value, low, high = (f"{factor * bound:.{digits}f}" for bound in (interval.value, interval.low, interval.high))
    return [value, f"{low} to {high}" if seeds > 1 else "-"]


def _text_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as left-aligned columns, the heading underlined; unlike `ranking.aligned` it never breaks a row."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
