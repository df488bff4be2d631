"""Runs a comparison: several searchers, several seeds each, equal budgets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.platform.comparison import presets
from archsearch.platform.comparison.comparison import Comparison, MethodOutcome
from archsearch.platform.comparison.equal_cost import cost_curve
from archsearch.platform.comparison.tracking import study_url, track_comparison
from archsearch.platform.configuration import SearchConfiguration, from_mapping
from archsearch.platform.result import SearchResult
from archsearch.platform.run_folder import RunFolder

_DEFAULT_SEARCHERS = ("random", "evolution")


def compare(
    searchers: Sequence[str] | None = None,
    seeds: int | None = None,
    study: str | None = None,
    *,
    preset: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Comparison:
    """Run several searchers with the seeds 0 to `seeds - 1`, and compare them at equal numbers of candidates and equal cost.

    A search that an earlier call with the same study has begun is resumed, not repeated.

    Args:
        searchers: Names of searchers; None takes those of the preset, or random search and evolution.
        seeds: Number of searches of each; None takes the preset's, or 3.
        study: Name of the comparison; None generates one.
        preset: `papers`: GHN, GATES, NGAE, evolution, TPE and random search, with sizes for two cores.
        progress: Whether to show a live line for each search.
        **settings: Fields of `SearchConfiguration`; with `report=True` each search has its report too. The name of an
            option of one searcher begins with the searcher's:
            `searcher_options={"evolution.population_size": 50}`.

    Raises:
        ConfigurationError: A setting is invalid; nothing has been run.

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
    # The comparison has a figure; a report of each search, which could take longer than the search, is written on request.
    base = from_mapping({"report": False, **settings}, origin="compare")
    _check_owners(base.searcher_options, {*searchers, *names()})
    study = study or f"compare-{base.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    comparison = Comparison(study, tuple(_outcomes(base, searchers, seeds, study, progress)), _folder(base, f"{study}-report"))
    _write(comparison)
    track_comparison(comparison, base.tracking)
    return replace(comparison, address=study_url(comparison, base.tracking))


def _outcomes(base: SearchConfiguration, searchers: Sequence[str], seeds: int, study: str, progress: bool) -> list[MethodOutcome]:
    """Run all searches; return the outcome of each searcher, best first."""
    found: dict[str, list[SearchResult]] = {searcher: [] for searcher in searchers}
    for seed in range(seeds):
        for searcher in searchers:
            name, options = f"{searcher}-s{seed}-{study}", _options(searcher, base, study)
            changes: dict[str, Any] = {
                "searcher": searcher,
                "seed": seed,
                "name": name,
                "study": study,
                "searcher_options": options,
            }
            found[searcher].append(_search(replace(base, **changes), progress))
    outcomes = []
    for searcher, results in found.items():
        costs = [cost_curve(result.summary, RunFolder(result.folder).spent()) for result in results]
        outcomes.append(MethodOutcome(searcher, tuple(results), tuple(costs)))
    multi_objective = len(base.objectives) > 1
    return sorted(outcomes, key=lambda outcome: -(outcome.hypervolume if multi_objective else outcome.best()).value)


def _options(searcher: str, base: SearchConfiguration, study: str) -> dict[str, Any]:
    """Return the options of one searcher: those for all searchers, and those whose name begins with its own."""
    # A hypernetwork cached by a search outside the comparison would cost nothing here.
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
    with written_atomically(comparison.folder / "table.txt", durable=False) as path:
        path.write_text(f"{comparison.table()}\n\n{comparison.cost_table()}\n")
    rows = [
        {"searcher": outcome.searcher, "seed": result.summary.seed, "run": result.name, "score": result.best.score}
        | {name: value for name, value in result.best.metrics.items() if value is not None}
        for outcome in comparison.outcomes
        for result in outcome.results
    ]
    with written_atomically(comparison.folder / "best.parquet", durable=False) as path:
        pq.write_table(pa.Table.from_pylist(rows), path)
    with written_atomically(comparison.folder / "settings.json", durable=False) as path:
        path.write_text(json.dumps(summary.settings, indent=2, default=str) + "\n")
