"""Running a search from its settings to its report: `run_search` and `resume_search`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from ray import tune

from archsearch.cluster import TrialResources, cluster_cpus, connect, run_trials
from archsearch.cluster.storage import check_storage
from archsearch.errors import ConfigurationError, SearchStopped, check_kind
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.platform.candidate_callbacks import CandidateCallbacks, check_callbacks
from archsearch.platform.configuration import from_mapping, with_default_job
from archsearch.platform.preparation import Search, check_parts, prepare
from archsearch.platform.progress import Progress
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.report.trust import Course
from archsearch.platform.result import SearchResult, evaluations_table, summary_of
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.tracking.curves import exit_curve
from archsearch.platform.tracking.setup import open_tracker
from archsearch.platform.tracking.tracker import Tracker
from archsearch.searchers import ArchitectureSearcher, Observation
from archsearch.spaces import SearchSpace
from archsearch.spaces.listed import Listed


def run_search(
    space: str | SearchSpace | None = None,
    searcher: str | ArchitectureSearcher | Any = None,
    evaluator: str | Evaluator | None = None,
    num_candidates: int | None = None,
    seed: int = 0,
    name: str | None = None,
    storage: str | Path = "runs",
    resume: bool = False,
    *,
    progress: bool = True,
    callbacks: Sequence[tune.Callback] = (),
    **settings: Any,
) -> SearchResult:
    """Search for architectures, and write a ranked table, pictures, a report and an MLflow run.

    Without a space, a searcher and an evaluator it runs `configuration.DEFAULT_JOB`: a small graph hypernetwork search.

    Args:
        space: A search space or its name; None takes `nasbench201`.
        searcher: A searcher or its name, or a function of (Tune domains, seed) that returns a Ray Tune search algorithm;
            None takes `evolution`.
        evaluator: `train:DATASET`, `table:NAME`, `table:PATH#COLUMN`, or an evaluator; None takes `train:digits`.
        num_candidates: Number of candidates to propose; None takes 40.
        seed: Seed of the search.
        name: Name of the run; None makes one from the settings and the time.
        storage: Folder that holds the runs and the ledger.
        resume: Whether to continue the run called `name`.
        progress: Whether to show a live line on standard error.
        callbacks: Callbacks of Ray Tune, such as `[ray.tune.logger.TBXLoggerCallback()]`; they see one trial for each candidate,
            with the architecture and its genes as the configuration and all metrics as the result. Files of loggers are in the
            folder `candidates` of the run. One that raises an error is logged and not called again.
        **settings: Further fields of `SearchConfiguration`, such as `workers=4` or `searcher_options={"population_size": 50}`.

    Raises:
        ConfigurationError: An argument cannot be used.
        RunError: The run's folder exists already (or does not, when resuming).
        SearchStopped: Ctrl-C; the evaluations so far are in the ledger.

    Example:
        >>> result = run_search("nasbench201", "evolution", "table:digits201", num_candidates=300)
        >>> print(result.best, result.best.score)
    """
    names = {"space": space, "searcher": searcher, "evaluator": evaluator}
    check_parts(**{key: "" if value is None else value for key, value in names.items()})
    check_kind("storage", storage, (str, Path), "the path of a folder")
    check_callbacks(callbacks)
    given_names = {
        key: value if isinstance(value, str) else getattr(value, "name", type(value).__name__)
        for key, value in names.items()
        if value is not None
    }
    given = {**given_names, "seed": seed, "name": name, "storage": str(storage), **settings}
    if num_candidates is not None:
        given["num_candidates"] = num_candidates
    configuration = from_mapping(with_default_job(given), origin="run_search")
    if resume and name is None:
        raise ConfigurationError("name: expected the name of the run to resume; got None. Give its name.")
    parts: dict[str, Any] = {key: getattr(configuration, key) if value is None else value for key, value in names.items()}
    search = prepare(configuration, **parts, resume=resume)
    return _run(search, sys.stderr if progress else None, callbacks)


def resume_search(run: str | Path, *, progress: bool = True, callbacks: Sequence[tune.Callback] = ()) -> SearchResult:
    """Continue a run from its folder; candidates that are in the ledger are not evaluated again.

    Args:
        run: Folder of the run, such as `runs/NAME`.
        progress: Whether to show a live line on standard error.
        callbacks: As for `run_search`; candidates that were finished before are not given to them.

    Raises:
        RunError: The folder does not exist or does not hold a run.
    """
    check_callbacks(callbacks)
    folder = RunFolder.open(run)
    configuration = replace(folder.configuration(), name=folder.name, storage=str(folder.path.parent), report=True)
    search = prepare(configuration, configuration.space, configuration.searcher, configuration.evaluator, resume=True)
    return _run(search, sys.stderr if progress else None, callbacks)


def _run(search: Search, stream: TextIO | None, callbacks: Sequence[tune.Callback] = ()) -> SearchResult:
    configuration, searcher = search.configuration, search.searcher
    if stream is not None and isinstance(search.space, Listed):
        print(f"The table holds {search.space.size:,} architectures of the space; the search proposes only these.", file=stream)
    costs: dict[str, float] = {}
    started = time.perf_counter()
    known = _take_history(search)
    progress = Progress(configuration.num_candidates, search.evaluator.score_is_fraction, stream)
    progress.take(searcher.history)
    tracker = open_tracker(configuration, search.space.name, searcher, search.evaluator, search.folder)
    if tracker is not None:
        tracker.record(searcher.history)
    costs["tracking"] = time.perf_counter() - started

    told = CandidateCallbacks(
        callbacks, search.space, search.folder.path, partial(_recorded, search), first=len(searcher.history)
    )
    course: list[tuple[int, dict[str, float]]] = []
    spent = 0.0

    def take(observations: Sequence[Observation]) -> None:
        nonlocal spent
        search.folder.note_outcomes(observations)
        # A surrogate's fits are timed where they run; the searcher's own time includes waiting for them.
        took = sum(searcher.costs.values()) if searcher.costs else searcher.seconds
        search.folder.note_spent(len(searcher.history) - len(observations), took - spent)
        spent = took
        progress.take(observations)
        figures = searcher.figures
        changed = figures if figures and (not course or figures != course[-1][1]) else {}
        if changed:
            course.append((len(searcher.history), changed))
        if tracker is not None:
            tracker.record(observations)
            tracker.record_values(changed)
        told.take(observations)

    searcher.on_outcomes = take
    status = "FAILED"
    try:
        told.begin(configuration.num_candidates)
        _search(search, progress, costs, told)
        timed_out = configuration.time_budget is not None and costs["trials"] >= configuration.time_budget
        status = "FINISHED" if searcher.complete or timed_out else "KILLED"
    except KeyboardInterrupt:
        status = "KILLED"
    finally:
        searcher.close()
        told.end()
        if searcher.goals.latency is not None:
            searcher.goals.latency.close()
        progress.show(last=True)
        costs["total"] = time.perf_counter() - started
        result = _result(search, known, costs, tracker.run_id if tracker is not None else None)
        _publish(result, tracker, status, searcher, course)
    if status == "KILLED":
        raise SearchStopped(
            f"stopped: {len(result.evaluations)} of {configuration.num_candidates} candidates are in the ledger; "
            f"continue with: archsearch resume {shlex.quote(str(search.folder.path))}"
        )
    return result


def _publish(result: SearchResult, tracker: Tracker | None, status: str, searcher: ArchitectureSearcher, course: Course) -> None:
    """Write the report, or its tables alone, and send them to MLflow."""
    from archsearch.platform.report.report import write_report, write_tables

    summary, folder, top = result.summary, result.folder / "report", result.summary.settings["top"]
    if len(summary.evaluations):
        if summary.settings["report"]:
            if tracker is not None:
                tracker.log_finalists(ranked_rows(summary.evaluations, top))  # sent while the report is drawn
            write_report(summary, result.space, folder, top, searcher.details, course)
        else:
            write_tables(summary, folder, top)
        if tracker is not None:
            tracker.log_artifacts(folder)
    if tracker is not None:
        tracker.finish(status, summary, top)


def _take_history(search: Search) -> Mapping[str, Evaluation]:
    """Give the searcher the evaluations in the ledger, and return them by key."""
    search.ledger.compact()
    records, name = search.ledger.read(), search.folder.name
    known, mine = records.known(name), records.of(name)
    if search.resumed:
        search.folder.check_history(search.ledger, mine.table.num_rows)
    if search.resumed and not search.searcher.deterministic:
        search.searcher.replay(search.folder.outcomes(mine.entries(), known))
    # A deterministic search proposes its candidates again from the first one; the ledger answers those that it holds.
    search.searcher.ledger = known if search.configuration.reuse else mine.evaluations()
    return known


def _recorded(search: Search, observations: Sequence[Observation]) -> list[Evaluation]:
    """Return the evaluations of observations with all metrics, from the ledger."""
    batches = {observation.batch for observation in observations if not observation.reused}
    entries = [entry for batch in sorted(batches) for entry in search.ledger.entries(search.folder.name, batch)]
    paid = {entry.evaluation.key: entry.evaluation for entry in entries}
    known, seen = search.searcher.ledger, [observation.evaluation for observation in observations]
    return [paid[each.key] if each.key in paid else known.get(each.key, each) for each in seen]


def _search(search: Search, progress: Progress, costs: dict[str, float], told: CandidateCallbacks) -> None:
    configuration, searcher = search.configuration, search.searcher
    started = time.perf_counter()
    connect(configuration.address)
    check_storage(configuration.storage)
    costs["ray_start"] = time.perf_counter() - started
    resources = TrialResources(configuration.cpus_per_worker, configuration.gpus_per_worker)
    # Processes that the searcher keeps in the cluster may take all CPUs except those of one trial.
    reserved = min(searcher.reserved_cpus, max(0.0, cluster_cpus() - configuration.cpus_per_worker))
    most = 1 if search.evaluator.is_lookup else max(1, int((cluster_cpus() - reserved) / configuration.cpus_per_worker))
    workers = configuration.workers or most
    searcher.workers = workers
    progress.begin()
    started = time.perf_counter()
    meter = searcher.goals.latency
    if meter is not None:
        meter.open(search.ledger.root, resources.cpus, resources.gpus)
        for row in searcher.history:  # of before a stop; they are in the ledger of latencies
            meter(row.evaluation.architecture)
    if not searcher.complete:
        searcher.open(reserved)
    if not searcher.complete and searcher.prepare():
        run_trials(
            searcher,
            search.evaluator,
            ledger=search.ledger.root,
            run=search.folder.name,
            folder=search.folder.new_tune_folder(),
            workers=workers,
            resources=resources,
            seconds=configuration.time_budget,
            callbacks=[progress, told],
        )
    costs["trials"] = time.perf_counter() - started
    costs |= {"proposing": searcher.seconds, **searcher.costs}
    costs["evaluating"] = sum(row.evaluation.seconds for row in searcher.history if not row.reused)


def _result(search: Search, known: Mapping[str, Evaluation], costs: dict[str, float], run_id: str | None) -> SearchResult:
    configuration, evaluator = search.configuration, search.evaluator
    entries = search.ledger.entries(search.folder.name)
    paid = {entry.evaluation.key: entry.evaluation for entry in entries}
    seen = {observation.evaluation.key for observation in search.searcher.history}
    # After a stop the ledger may hold outcomes that the searcher has not received.
    late = [row for row in search.folder.outcomes(entries, known) if row.evaluation.key not in seen]
    observations = [*search.searcher.history, *late]
    reused = {row.evaluation.key: known[row.evaluation.key] for row in observations if row.evaluation.key in known}
    recorded = {**reused, **paid}
    settings: dict[str, Any] = {**configuration.as_dict(), "workers": search.searcher.workers}
    if (meter := search.searcher.goals.latency) is not None:
        recorded = {
            key: replace(each, metrics={**each.metrics, **meter.known.get(str(each.architecture), {})})
            for key, each in recorded.items()
        }
        settings["latency"] = meter.facts
    evaluations = evaluations_table(observations, recorded, set(paid), evaluator)
    summary = replace(
        summary_of(search.folder, configuration, evaluator, evaluations),
        settings=settings,
        costs=costs,
        groups={
            name: tuple(row.evaluation.score for row in observations if row.evaluation.ok and row.evaluation.key in keys)
            for name, keys in search.searcher.groups.items()
        },
        exits=exit_curve(recorded.values(), evaluator.chance),
    )
    return SearchResult(summary, search.space, search.folder.path, run_id, dict(evaluator.cost_arguments))
