"""Runs a comparison: several searchers, several seeds each, equal budgets."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray import tune

from archsearch.atomic_file import written_atomically
from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ConfigurationError, check_kind, unknown_name
from archsearch.evaluators.options import options_of
from archsearch.platform.announcement import facts_once
from archsearch.platform.candidate_callbacks import check_callbacks
from archsearch.platform.comparison import presets
from archsearch.platform.comparison.comparison import Comparison, MethodOutcome
from archsearch.platform.comparison.equal_cost import cost_curve
from archsearch.platform.comparison.tracking import study_url, track_comparison
from archsearch.platform.configuration import NO_SCHEDULER, SearchConfiguration, from_mapping
from archsearch.platform.preparation import check_searcher_options, check_simulation, make_parts, make_scheduler
from archsearch.platform.quick_checks import check_scheduler
from archsearch.platform.result import SearchResult
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import get, names

_DEFAULT_SEARCHERS = ("random", "evolution")


def compare(
    searchers: Sequence[str] | None = None,
    seeds: int | None = None,
    study: str | None = None,
    *,
    preset: str | None = None,
    schedulers: Sequence[str] | None = None,
    progress: bool = True,
    callbacks: Sequence[tune.Callback] = (),
    **settings: Any,
) -> Comparison:
    """Run several searchers with the seeds 0 to `seeds - 1`, and compare them at equal numbers of candidates and equal cost.

    With a table all searchers are told scores with the same delay, that of `simulated_workers` workers (see
    `SearchConfiguration`); None takes 1.

    A search that an earlier call with the same study has begun is resumed, not repeated.

    Args:
        searchers: Names of searchers; None takes those of the preset, or random search and evolution.
        seeds: Number of searches of each; None takes the preset's, or 3.
        study: Name of the comparison; None generates one.
        preset: `papers`: GHN, GATES, NGAE, evolution, TPE and random search, with sizes for two cores; or `rivals`: the
            systems that the papers compare with, such as `nasnet`, `pnas` and `nao`.
        schedulers: Names of schedulers, `none` for trainings to the end: each searcher runs with each of them, so that
            `["none", "asha"]` compares searches with and without early stopping. The name of an option of one scheduler
            begins with the scheduler's: `scheduler_options={"asha.grace_period": 2}`. None takes the setting `scheduler`.
        progress: Whether to show a live line for each search.
        callbacks: Callbacks of Ray Tune, as for `run_search`; the same ones see the candidates of all searches.
        **settings: Fields of `SearchConfiguration`; with `report=True` each search has its report too. The name of an
            option of one searcher begins with the searcher's:
            `searcher_options={"evolution.population_size": 50}`.

    Raises:
        ConfigurationError: A setting is invalid; nothing has been run.

    Example:
        >>> comparison = compare(preset="papers", evaluator="table:digits201", num_candidates=60, seeds=2)
        >>> print(comparison.cost_table())
    """
    check_kind("searchers", searchers, (list, tuple, type(None)), "a list of names, such as ['random', 'evolution']")
    check_kind("preset", preset, (str, type(None)), "the name of a preset")
    check_kind("schedulers", schedulers, (list, tuple, type(None)), "a list of names, such as ['none', 'asha']")
    check_callbacks(callbacks)
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
    chosen = _schedulers(schedulers, settings)
    base = from_mapping({"report": False, **settings, "scheduler": None, "scheduler_options": {}}, origin="compare")
    if base.evaluator.startswith("table:") and base.simulated_workers is None:
        base = replace(base, simulated_workers=1)
    if base.simulated_workers is not None:
        check_simulation(base, lookups=base.evaluator.startswith("table:"))
    _check_owners(base.searcher_options, {*searchers, *names()})
    for searcher in searchers:  # a mistake in the options of the last searcher must not show after hours
        _check_options(searcher, searchers, base, study or "")
    methods = [Method(searcher, scheduler, options) for searcher in searchers for scheduler, options in chosen.items()]
    _check_schedulers(base, methods)
    study = study or _new_study(base, methods[0])
    with facts_once():
        outcomes = tuple(_outcomes(base, methods, seeds, study, progress, callbacks))
    comparison = Comparison(study, outcomes, _folder(base, f"{study}-report"))
    _write(comparison)
    StoragePlace.of(base.storage).child(comparison.folder.name).upload()
    track_comparison(comparison, base.tracking, base.storage)
    return replace(comparison, address=study_url(comparison, base.tracking, base.storage))


@dataclass(frozen=True)
class Method:
    """A searcher with a scheduler.

    Args:
        searcher: Name of the searcher.
        scheduler: Name of the scheduler; None if all candidates are evaluated to the end.
        options: Options of the scheduler.
    """

    searcher: str
    scheduler: str | None
    options: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return self.searcher if self.scheduler is None else f"{self.searcher} + {self.scheduler}"

    def run_name(self, seed: int, study: str) -> str:
        """Return the name of its run with this seed."""
        scheduler = "" if self.scheduler is None else f"-{self.scheduler.replace(':', '-')}"
        return f"{self.searcher}{scheduler}-s{seed}-{study}"


def _schedulers(names: Sequence[str] | None, settings: Mapping[str, Any]) -> dict[str | None, dict[str, Any]]:
    """Return the schedulers to compare with the options of each.

    Raises:
        ConfigurationError: A name is unknown, or an option names a scheduler that is not compared.
    """
    one = settings.get("scheduler")
    if names is not None and one is not None:
        raise ConfigurationError(f"scheduler: expected one of schedulers and scheduler; got {list(names)} and {one!r}.")
    given = [one] if names is None else list(names)
    if not given:
        raise ConfigurationError("schedulers: expected at least one name, such as none or asha; got none.")
    for name in given:
        check_kind("schedulers", name, (str, type(None)), "names of schedulers, such as 'asha' or 'none'")
        check_scheduler(None if name == NO_SCHEDULER else name)
    chosen = list(dict.fromkeys(None if name == NO_SCHEDULER else name for name in given))
    options = settings.get("scheduler_options") or {}
    check_kind("scheduler_options", options, Mapping, "options by name, such as {'grace_period': 2}")
    for name in options:
        owner, dot, _ = str(name).partition(".")
        if dot and owner not in chosen:
            raise ConfigurationError(unknown_name(f"scheduler_options: {name}", owner, [each for each in chosen if each]))
    if options and chosen == [None]:
        raise ConfigurationError(
            f"scheduler_options: expected none without a scheduler; got {', '.join(map(str, options))}. Give schedulers."
        )
    return {name: {} if name is None else _of_owner(name, options) for name in chosen}


def _check_schedulers(base: SearchConfiguration, methods: Sequence[Method]) -> None:
    """Raise ConfigurationError, before anything runs, if an option of a scheduler cannot be used, or the evaluator not report."""
    for method in {each.scheduler: each for each in methods if each.scheduler is not None}.values():
        configuration = replace(base, scheduler=method.scheduler, scheduler_options=dict(method.options))
        _, _, evaluator = make_parts(replace(configuration, searcher_options={}), base.space, "random", base.evaluator)
        make_scheduler(configuration, evaluator)


def _new_study(base: SearchConfiguration, method: Method) -> str:
    """Return a name made of the space and the time that no comparison in the storage has."""
    stem = f"compare-{base.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(name for name in names if not RunFolder.exists(base.storage, method.run_name(0, name)))


def _outcomes(
    base: SearchConfiguration,
    methods: Sequence[Method],
    seeds: int,
    study: str,
    progress: bool,
    callbacks: Sequence[tune.Callback],
) -> list[MethodOutcome]:
    """Run all searches; return the outcome of each method, best first."""
    found: dict[str, list[SearchResult]] = {method.label: [] for method in methods}
    for seed in range(seeds):
        for method in methods:
            changes: dict[str, Any] = {
                "searcher": method.searcher,
                "seed": seed,
                "name": method.run_name(seed, study),
                "study": study,
                "searcher_options": _options(method.searcher, base, study),
                "scheduler": method.scheduler,
                "scheduler_options": dict(method.options),
            }
            found[method.label].append(_search(replace(base, **changes), progress, callbacks))
    outcomes = []
    for label, results in found.items():
        costs = [cost_curve(result.summary, RunFolder(result.folder).spent()) for result in results]
        outcomes.append(MethodOutcome(label, tuple(results), tuple(costs)))
    multi_objective = len(base.objectives) > 1
    return sorted(outcomes, key=lambda outcome: -(outcome.hypervolume if multi_objective else outcome.best()).value)


def _options(searcher: str, base: SearchConfiguration, study: str) -> dict[str, Any]:
    """Return the options of one searcher: those for all searchers, and those whose name begins with its own."""
    # A hypernetwork or supernet that a search outside the comparison has trained would cost nothing here.
    trains = "cache" in options_of(get(searcher), get(searcher).fixed_options)
    chosen: dict[str, Any] = {"cache": str(_folder(base, f"{study}-{searcher}"))} if trains else {}
    return {**chosen, **_of_owner(searcher, base.searcher_options)}


def _of_owner(owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a searcher or scheduler: those for all, and those whose name begins with its own."""
    shared = {name: value for name, value in given.items() if "." not in name}
    named = {name.removeprefix(f"{owner}."): value for name, value in given.items() if name.startswith(f"{owner}.")}
    return {**shared, **named}


def _check_options(searcher: str, searchers: Sequence[str], base: SearchConfiguration, study: str) -> None:
    """Raise ConfigurationError for options that a searcher does not have; one that others have needs the name of its searcher."""
    kind = get(searcher)
    for name in base.searcher_options:
        owners = [other for other in searchers if name in options_of(get(other), get(other).fixed_options)]
        if "." not in name and owners and searcher not in owners:
            raise ConfigurationError(
                f"searcher_options: {searcher} has no option {name!r}. Name the searcher that has it, such as {owners[0]}.{name}."
            )
    check_searcher_options(searcher, kind, _options(searcher, base, study))


def _check_owners(options: Mapping[str, Any], searchers: Set[str]) -> None:
    for name in options:
        owner, dot, _ = name.partition(".")
        if dot and owner not in searchers:
            raise ConfigurationError(unknown_name(f"searcher_options: {name}", owner, searchers))


def _folder(base: SearchConfiguration, name: str) -> Path:
    return StoragePlace.of(base.storage).child(name).local


def _search(configuration: SearchConfiguration, progress: bool, callbacks: Sequence[tune.Callback]) -> SearchResult:
    from archsearch.platform.search import run_search

    settings = configuration.as_dict()
    resume = RunFolder.exists(configuration.storage, str(configuration.name))
    return run_search(**settings, resume=resume, progress=progress, callbacks=callbacks)


def _write(comparison: Comparison) -> None:
    from archsearch.platform.report.figures import best_so_far
    from archsearch.platform.report.pictures import save

    comparison.folder.mkdir(parents=True, exist_ok=True)
    summary = comparison.outcomes[0].results[0].summary
    series = {outcome.searcher: outcome.curves for outcome in comparison.outcomes}
    figure = best_so_far(series, "candidates evaluated", summary.score_name.replace("_", " "), summary.percent)
    save(figure, comparison.folder / "best_so_far")
    with written_atomically(comparison.folder / "table.txt", durable=False) as path:
        path.write_text(f"{comparison.text()}\n")
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
