"""Several searchers, several seeds, one budget."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.metrics import Interval, mean_interval
from archsearch.platform.comparison_tracking import track_comparison
from archsearch.platform.configuration import SearchConfiguration, from_mapping
from archsearch.platform.result import SearchResult
from archsearch.platform.trade_off import hypervolume


@dataclass(frozen=True)
class MethodOutcome:
    """What one searcher reached over all seeds.

    Args:
        searcher: Its name.
        results: One search a seed.
    """

    searcher: str
    results: tuple[SearchResult, ...]

    @property
    def curves(self) -> list[NDArray[np.float64]]:
        """The scores of each search in order of proposal."""
        return [result.summary.scores for result in self.results]

    def best(self, metric: str = "score") -> Interval:
        """Return the mean over seeds, with its 95 % interval, of a figure of each search's best architecture."""
        values = [found.score if metric == "score" else found.metrics[metric] for found in self._bests()]
        return _mean(values)

    @property
    def hypervolume(self) -> Interval:
        """Mean over seeds, with its 95 % interval, of the volume that each search's front dominates."""
        return _mean([hypervolume(result.summary) for result in self.results])

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
    """Searchers compared at an equal number of candidates.

    Args:
        study: Name under which their MLflow runs stand together (tag `study`).
        outcomes: One for each searcher, best first.
        folder: Where the figure and the tables are.
    """

    study: str
    outcomes: tuple[MethodOutcome, ...]
    folder: Path

    def table(self) -> str:
        """Return mean and interval of each searcher as aligned text."""
        summary = self.outcomes[0].results[0].summary
        factor, unit = (100.0, " (%)") if summary.percent else (1.0, "")
        test = self.outcomes[0].test_metric
        heads = ["searcher", "seeds", f"best {summary.score_name}{unit}", "95 % interval"]
        heads += ["its test accuracy (%)", "95 % interval"] if test else []
        heads += ["hypervolume", "95 % interval"] if summary.weighs else []
        rows = [[*heads, "s/search"]]
        for outcome in self.outcomes:
            best = outcome.best()
            row = [outcome.searcher, str(len(outcome.results)), *_interval(best, factor)]
            row += _interval(outcome.best(test), 100.0) if test else []
            row += _interval(outcome.hypervolume, 1.0, 4) if summary.weighs else []
            rows.append([*row, f"{outcome.seconds:.1f}"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def compare(
    searchers: Sequence[str], seeds: int = 5, study: str | None = None, *, progress: bool = True, **settings: Any
) -> Comparison:
    """Run several searchers with the seeds 0 .. `seeds - 1` at an equal number of candidates.

    A search that is there already, from an earlier call with the same study, is resumed instead of repeated.

    Args:
        searchers: Names of searchers.
        seeds: Searches of each.
        study: Name of the comparison; None makes one.
        progress: Whether to show a live line for each search.
        **settings: As for `SearchConfiguration`.

    Raises:
        ConfigurationError: A setting cannot be used; nothing was run.
    """
    from archsearch.searchers import get

    if seeds < 1 or not searchers:
        raise ConfigurationError(f"seeds: expected at least one seed and one searcher; got {seeds!r} and {list(searchers)!r}.")
    for searcher in searchers:
        get(searcher)
    base = from_mapping(settings, origin="compare")
    study = study or f"compare-{base.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    found: dict[str, list[SearchResult]] = {searcher: [] for searcher in searchers}
    for seed in range(seeds):
        for searcher in searchers:
            name = f"{searcher}-s{seed}-{study}"
            # The comparison has its own figure; a report for each search would take longer than the search.
            configuration = replace(base, searcher=searcher, seed=seed, name=name, study=study, report=False)
            found[searcher].append(_search(configuration, progress))
    outcomes = [MethodOutcome(searcher, tuple(results)) for searcher, results in found.items()]
    weighs = len(base.objectives) > 1
    outcomes.sort(key=lambda outcome: -(outcome.hypervolume if weighs else outcome.best()).value)
    comparison = Comparison(study, tuple(outcomes), Path(base.storage).expanduser().absolute() / f"{study}-report")
    _write(comparison)
    track_comparison(comparison, base.tracking)
    return comparison


def _search(configuration: SearchConfiguration, progress: bool) -> SearchResult:
    from archsearch.platform.search import run_search

    settings = configuration.as_dict()
    resume = (Path(configuration.storage).expanduser() / str(configuration.name)).is_dir()
    return run_search(**settings, resume=resume, progress=progress)


def _write(comparison: Comparison) -> None:
    from archsearch.platform.figures import best_so_far
    from archsearch.platform.pictures import save

    comparison.folder.mkdir(parents=True, exist_ok=True)
    summary = comparison.outcomes[0].results[0].summary
    series = {outcome.searcher: outcome.curves for outcome in comparison.outcomes}
    figure = best_so_far(series, "candidates evaluated", summary.score_name.replace("_", " "), summary.percent)
    save(figure, comparison.folder / "best_so_far")
    (comparison.folder / "table.txt").write_text(comparison.table() + "\n")
    rows = [
        {"searcher": outcome.searcher, "seed": result.summary.seed, "run": result.name, "score": result.best.score}
        | {name: value for name, value in result.best.metrics.items() if value is not None}
        for outcome in comparison.outcomes
        for result in outcome.results
    ]
    pq.write_table(pa.Table.from_pylist(rows), comparison.folder / "best.parquet")
    (comparison.folder / "settings.json").write_text(json.dumps(summary.settings, indent=2, default=str) + "\n")


def _mean(values: Sequence[float]) -> Interval:
    return mean_interval(values) if len(values) > 1 else Interval(values[0], values[0], values[0])


def _interval(interval: Interval, factor: float, digits: int = 2) -> list[str]:
    value, low, high = (f"{factor * bound:.{digits}f}" for bound in (interval.value, interval.low, interval.high))
    return [value, f"{low} to {high}"]
