"""Several searchers, several seeds, one budget."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.evaluators.metrics import Interval
from archsearch.platform.comparison import presets
from archsearch.platform.comparison.equal_cost import AtCost, CostCurve, at_cost, common_cost, cost_curve, over_seeds
from archsearch.platform.comparison.tracking import track_comparison
from archsearch.platform.configuration import SearchConfiguration, from_mapping
from archsearch.platform.result import SearchResult
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.trade_off import hypervolume

_DEFAULT_SEARCHERS = ("random", "evolution")


@dataclass(frozen=True)
class MethodOutcome:
    """What one searcher reached over all seeds.

    Args:
        searcher: Its name.
        results: One search a seed.
        costs: Their course by seconds, one a seed.
    """

    searcher: str
    results: tuple[SearchResult, ...]
    costs: tuple[CostCurve, ...]

    @property
    def curves(self) -> list[NDArray[np.float64]]:
        """The scores of each search in order of proposal."""
        return [result.summary.scores for result in self.results]

    def best(self, metric: str = "score") -> Interval:
        """Return the mean over seeds, with its 95 % interval, of a figure of each search's best architecture."""
        values = [found.score if metric == "score" else found.metrics[metric] for found in self._bests()]
        return over_seeds(values) or Interval(math.nan, math.nan, math.nan)

    @property
    def hypervolume(self) -> Interval:
        """Mean over seeds, with its 95 % interval, of the volume that each search's front dominates."""
        return over_seeds([hypervolume(result.summary) for result in self.results]) or Interval(math.nan, math.nan, math.nan)

    @property
    def test_metric(self) -> str | None:
        """The test accuracy among the metrics, if there is one."""
        names = self.results[0].evaluations.column_names
        return "test_accuracy" if "test_accuracy" in names else None

    @property
    def seconds(self) -> float:
        """Mean wall-clock seconds of a search."""
        return float(np.mean([result.summary.costs["total"] for result in self.results]))

    def _bests(self) -> list[Any]:
        return [result.best for result in self.results]


@dataclass(frozen=True)
class Comparison:
    """Searchers compared at an equal number of candidates, and at equal cost.

    Args:
        study: Name under which their MLflow runs stand together (tag `study`).
        outcomes: One for each searcher, best first.
        folder: Where the figure and the tables are.
    """

    study: str
    outcomes: tuple[MethodOutcome, ...]
    folder: Path

    def table(self) -> str:
        """Return mean and interval of each searcher at an equal number of candidates as aligned text."""
        summary = self.outcomes[0].results[0].summary
        factor, unit = (100.0, " (%)") if summary.percent else (1.0, "")
        test = self.outcomes[0].test_metric
        heads = ["searcher", "seeds", f"best {summary.score_name}{unit}", "95 % interval"]
        heads += ["its test accuracy (%)", "95 % interval"] if test else []
        heads += ["hypervolume", "95 % interval"] if summary.weighs else []
        rows = [[*heads, "s/search"]]
        for outcome in self.outcomes:
            row = [outcome.searcher, str(len(outcome.results)), *_interval(outcome.best(), factor)]
            row += _interval(outcome.best(test), 100.0) if test else []
            row += _interval(outcome.hypervolume, 1.0, 4) if summary.weighs else []
            rows.append([*row, f"{outcome.seconds:.1f}"])
        return _aligned(rows)

    @property
    def costs_known(self) -> bool:
        """Whether it is known of all searches what their evaluations cost."""
        return all(curve.evaluating > 0.0 for outcome in self.outcomes for curve in outcome.costs)

    @property
    def cost(self) -> float:
        """Seconds that each search has taken at least, those of its surrogate included: where they compare at equal cost."""
        return common_cost([curve for outcome in self.outcomes for curve in outcome.costs])

    def at_cost(self, seconds: float | None = None) -> tuple[AtCost, ...]:
        """Return what each searcher had found at a cost, best first.

        Args:
            seconds: The cost; None takes `cost`.
        """
        budget = self.cost if seconds is None else seconds
        rows = [at_cost(outcome.searcher, outcome.costs, budget) for outcome in self.outcomes]
        return tuple(sorted(rows, key=lambda row: -row.best.value if row.best else math.inf))

    def cost_table(self) -> str:
        """Return mean and interval of each searcher at equal cost as aligned text; a sentence where costs are not known."""
        if not self.costs_known:
            return "At equal cost they do not compare: what scores them does not say what an evaluation costs (column `seconds`)."
        summary = self.outcomes[0].results[0].summary
        factor, unit = (100.0, " (%)") if summary.percent else (1.0, "")
        test = self.outcomes[0].test_metric
        heads = ["searcher", "seeds", f"best {summary.score_name}{unit}", "95 % interval"]
        heads += ["its test accuracy (%)", "95 % interval"] if test else []
        rows = [[*heads, "candidates", "own s", "s of all"]]
        seeds = str(len(self.outcomes[0].results))
        totals = {outcome.searcher: float(np.mean([curve.total for curve in outcome.costs])) for outcome in self.outcomes}
        for row in self.at_cost():
            cells = [row.searcher, seeds, *_interval(row.best, factor)] + (_interval(row.test, 100.0) if test else [])
            rows.append([*cells, f"{row.candidates:.1f}", f"{row.own:,.1f}", f"{totals[row.searcher]:,.0f}"])
        return f"At equal cost, {self.cost:,.0f} seconds each\n{_aligned(rows)}"


def compare(
    searchers: Sequence[str] | None = None,
    seeds: int | None = None,
    study: str | None = None,
    *,
    preset: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Comparison:
    """Run several searchers with the seeds 0 .. `seeds - 1` at an equal number of candidates.

    A search that is there already, from an earlier call with the same study, is resumed instead of repeated.

    Args:
        searchers: Names of searchers; None takes those of the preset, or random search and evolution.
        seeds: Searches of each; None takes the preset's, or 3.
        study: Name of the comparison; None makes one.
        preset: `papers`: GHN, GATES, NGAE, evolution, TPE and random search, with sizes for two cores.
        progress: Whether to show a live line for each search.
        **settings: As for `SearchConfiguration`. An option of one searcher is named with it:
            `searcher_options={"evolution.population_size": 50}`.

    Raises:
        ConfigurationError: A setting cannot be used; nothing was run.

    Example:
        >>> comparison = compare(preset="papers", evaluator="table:digits201", num_candidates=60, seeds=2)
        >>> print(comparison.cost_table())
    """
    from archsearch.searchers import get, names

    check_kind("searchers", searchers, (list, tuple, type(None)), "a list of names, such as ['random', 'evolution']")
    check_kind("preset", preset, (str, type(None)), "the name of a preset")
    check_kind("seeds", seeds, (int, type(None)), "a whole number")

    found = None if preset is None else presets.preset(preset, settings, searchers)
    if found is not None:
        searchers = found.searchers
        seeds = found.seeds if seeds is None else seeds
        settings = dict(found.settings)
    searchers, seeds = _DEFAULT_SEARCHERS if searchers is None else searchers, 3 if seeds is None else seeds
    if seeds < 1 or not searchers:
        raise ConfigurationError(f"seeds: expected at least one seed and one searcher; got {seeds!r} and {list(searchers)!r}.")
    for searcher in searchers:
        get(searcher)
    base = from_mapping(settings, origin="compare")
    _check_owners(base.searcher_options, {*searchers, *names()})
    study = study or f"compare-{base.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    comparison = Comparison(study, tuple(_outcomes(base, searchers, seeds, study, progress)), _folder(base, f"{study}-report"))
    _write(comparison)
    track_comparison(comparison, base.tracking)
    return comparison


def _outcomes(base: SearchConfiguration, searchers: Sequence[str], seeds: int, study: str, progress: bool) -> list[MethodOutcome]:
    """Run all searches; return the outcome of each searcher, best first."""
    found: dict[str, list[SearchResult]] = {searcher: [] for searcher in searchers}
    for seed in range(seeds):
        for searcher in searchers:
            name, options = f"{searcher}-s{seed}-{study}", _options(searcher, base, study)
            # The comparison has its own figure; a report for each search would take longer than the search.
            changes: dict[str, Any] = {
                "searcher": searcher,
                "seed": seed,
                "name": name,
                "study": study,
                "searcher_options": options,
            }
            found[searcher].append(_search(replace(base, **changes, report=False), progress))
    outcomes = []
    for searcher, results in found.items():
        costs = [cost_curve(result.summary, RunFolder(result.folder).spent()) for result in results]
        outcomes.append(MethodOutcome(searcher, tuple(results), tuple(costs)))
    weighs = len(base.objectives) > 1
    return sorted(outcomes, key=lambda outcome: -(outcome.hypervolume if weighs else outcome.best()).value)


def _options(searcher: str, base: SearchConfiguration, study: str) -> dict[str, Any]:
    """Return the options of one searcher: those for all, and those that carry its name."""
    # A hypernetwork that another search has trained would cost nothing here.
    chosen: dict[str, Any] = {"cache": str(_folder(base, f"{study}-ghn"))} if searcher == "ghn" else {}
    given = base.searcher_options
    shared = {name: value for name, value in given.items() if "." not in name}
    named = {name.removeprefix(f"{searcher}."): value for name, value in given.items() if name.startswith(f"{searcher}.")}
    return {**chosen, **shared, **named}


def _check_owners(options: Mapping[str, Any], searchers: Set[str]) -> None:
    for name in options:
        owner, dot, _ = name.partition(".")
        if dot and owner not in searchers:
            raise ConfigurationError(unknown_name(f"searcher_options: {name}", owner, searchers))


def _folder(base: SearchConfiguration, name: str) -> Path:
    return Path(base.storage).expanduser().absolute() / name


def _search(configuration: SearchConfiguration, progress: bool) -> SearchResult:
    from archsearch.platform.search import run_search

    settings = configuration.as_dict()
    resume = (Path(configuration.storage).expanduser() / str(configuration.name)).is_dir()
    return run_search(**settings, resume=resume, progress=progress)


def _write(comparison: Comparison) -> None:
    from archsearch.platform.report.figures import best_so_far
    from archsearch.platform.report.pictures import save

    comparison.folder.mkdir(parents=True, exist_ok=True)
    summary = comparison.outcomes[0].results[0].summary
    series = {outcome.searcher: outcome.curves for outcome in comparison.outcomes}
    figure = best_so_far(series, "candidates evaluated", summary.score_name.replace("_", " "), summary.percent)
    save(figure, comparison.folder / "best_so_far")
    (comparison.folder / "table.txt").write_text(f"{comparison.table()}\n\n{comparison.cost_table()}\n")
    rows = [
        {"searcher": outcome.searcher, "seed": result.summary.seed, "run": result.name, "score": result.best.score}
        | {name: value for name, value in result.best.metrics.items() if value is not None}
        for outcome in comparison.outcomes
        for result in outcome.results
    ]
    pq.write_table(pa.Table.from_pylist(rows), comparison.folder / "best.parquet")
    (comparison.folder / "settings.json").write_text(json.dumps(summary.settings, indent=2, default=str) + "\n")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _interval(interval: Interval | None, factor: float, digits: int = 2) -> list[str]:
    if interval is None:
        return ["none yet", ""]
    value, low, high = (f"{factor * bound:.{digits}f}" for bound in (interval.value, interval.low, interval.high))
    return [value, f"{low} to {high}"]
