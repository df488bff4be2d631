"""Running a search from its settings to its report: `run_search` and `resume_search`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from ray import tune

from archsearch.cluster import TrialResources, connect, run_simulated, run_trials
from archsearch.cluster.storage import check_storage
from archsearch.errors import (
    ArchSearchError,
    ConfigurationError,
    RunError,
    SearchStopped,
    check_kind,
    nearest_first,
    unknown_option,
)
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.evaluators.score_names import LATENCY
from archsearch.platform.advice import advice
from archsearch.platform.allocation import allocate
from archsearch.platform.announcement import Announcement
from archsearch.platform.candidate_callbacks import CandidateCallbacks, check_callbacks
from archsearch.platform.configuration import from_mapping, with_default_job
from archsearch.platform.ending import Ending, Reason
from archsearch.platform.learned import evaluations_among, texts_of
from archsearch.platform.preparation import Search, check_parts, prepare
from archsearch.platform.progress import Progress
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.report.trust import Course
from archsearch.platform.result import SearchResult, evaluations_table, summary_of
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_space import space_of_run
from archsearch.platform.run_state import Heartbeat
from archsearch.platform.space_costs import space_costs
from archsearch.platform.tracking.curves import exit_curve
from archsearch.platform.tracking.setup import open_tracker
from archsearch.platform.tracking.tracker import Tracker
from archsearch.platform.tracking.unsent import UNSENT
from archsearch.platform.training.search_training import SearchTraining
from archsearch.searchers import ArchitectureSearcher, Observation
from archsearch.searchers import get as get_searcher
from archsearch.searchers import names as searcher_names
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
        storage: Folder that holds the runs and the ledger: a path, `file:///PATH`, or `s3://BUCKET/FOLDER`.
        resume: Whether to continue the run called `name`.
        progress: Whether to show a live line on standard error.
        callbacks: Callbacks of Ray Tune, such as `[ray.tune.logger.TBXLoggerCallback()]`; they see one trial for each candidate,
            with the architecture and its genes as the configuration and all metrics as the result. Files of loggers are in the
            folder `candidates` of the run. One that raises an error is logged and not called again.
        **settings: Further fields of `SearchConfiguration`, such as `workers=4`, `searcher_options={"population_size": 50}`,
            `start=[architecture, ...]` or `learn_from="runs/NAME"`; that may also be the result of a search, evaluations, what
            a search found, or a list of these.

    Raises:
        ConfigurationError: An argument cannot be used.
        RunError: The run's folder exists already (or does not, when resuming).
        SearchStopped: Ctrl-C; the evaluations so far are in the ledger. A time budget raises nothing: `ending` of the result says
            what ended the search.

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
    given |= {key: texts_of(key, settings[key]) for key in ("start", "learn_from") if settings.get(key) is not None}
    configuration = from_mapping(with_default_job(given), origin="run_search")
    if resume and name is None:
        raise ConfigurationError("name: expected the name of the run to resume; got None. Give its name.")
    parts: dict[str, Any] = {key: getattr(configuration, key) if value is None else value for key, value in names.items()}
    with _stopped_early():
        search = prepare(configuration, **parts, resume=resume, outcomes=evaluations_among(settings.get("learn_from")))
    return _run(search, sys.stderr if progress else None, callbacks)


CHANGEABLE = (
    *("num_candidates", "time_budget", "workers", "cpus_per_worker", "gpus_per_worker", "address", "tracking"),
    *("system_metrics", "study", "top", "report", "reuse"),
)
"""Settings of a run that may change when it is resumed; the others decide which candidates are proposed and how they score."""


def resume_search(
    run: str | Path,
    space: SearchSpace | str | None = None,
    *,
    progress: bool = True,
    callbacks: Sequence[tune.Callback] = (),
    **changes: Any,
) -> SearchResult:
    """Continue a run from its folder; candidates that are in the ledger are not evaluated again.

    A finished run is returned as it is; a report or figures for MLflow that are missing are written.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.
        space: Its search space, or `python:MODULE:CLASS`, if that is one of your own; None takes the one that the run names.
        progress: Whether to show a live line on standard error.
        callbacks: As for `run_search`; candidates that were finished before are not given to them.
        **changes: Settings to change, such as `num_candidates=80`: those of `CHANGEABLE`. The run keeps them.

    Raises:
        RunError: The folder does not exist or does not hold a run.
        ConfigurationError: A setting cannot be changed, or its value cannot be used.

    Example:
        >>> result = resume_search("runs/first", num_candidates=80)
    """
    check_callbacks(callbacks)
    folder = RunFolder.open(run)
    before = folder.configuration()
    for name in changes:
        if name not in CHANGEABLE:
            known = name in {each.name for each in fields(before)}
            raise ConfigurationError(
                f"{name}: decides what the run searches, so it cannot change; start a new run. "
                f"Settings that can: {', '.join(nearest_first(name, CHANGEABLE))}."
                if known
                else f"resume: {unknown_option('a run', name, CHANGEABLE)}"
            )
    configuration = replace(before, **{"report": True, **changes})
    if configuration.num_candidates != before.num_candidates and before.searcher in searcher_names():
        # The first stage stays what it was.
        kept = get_searcher(before.searcher).settled_options(before.searcher_options, before.num_candidates)
        configuration = replace(configuration, searcher_options=kept)
    configuration = replace(configuration, name=folder.name, storage=folder.storage)
    found = space_of_run(configuration, space)
    with _stopped_early():
        search = prepare(configuration, found, configuration.searcher, configuration.evaluator, resume=True)
    return _run(search, sys.stderr if progress else None, callbacks, changes)


@contextmanager
def _stopped_early() -> Iterator[None]:
    """Turn Ctrl-C before a search has begun into SearchStopped."""
    try:
        yield
    except KeyboardInterrupt:
        raise SearchStopped("stopped before the search began") from None


def _run(
    search: Search, stream: TextIO | None, callbacks: Sequence[tune.Callback], changes: Mapping[str, Any] | None = None
) -> SearchResult:
    """Run a search to its end, its report and its MLflow run.

    Args:
        search: The search.
        stream: Stream of the progress line; None shows none.
        callbacks: Callbacks of Ray Tune.
        changes: Settings of a resumed run that were changed.

    Raises:
        SearchStopped: Ctrl-C; the evaluations so far are in the ledger.
        ArchSearchError: The search cannot go on. A new run that has evaluated nothing leaves no folder, so that the same command
            can be given again.
    """
    configuration, folder = search.configuration, search.folder
    known = {"space": configuration.space, "searcher": configuration.searcher, "evaluator": configuration.evaluator}
    figures = {"total": configuration.num_candidates, "percent": search.evaluator.score_is_fraction}
    try:
        with Heartbeat(folder.path, {**known, **figures}) as heartbeat:
            return _carry_out(search, stream, callbacks, changes or {}, heartbeat)
    except KeyboardInterrupt:  # before the first candidate, or a second one while the report was written
        again = advice(folder.address, configuration, search.space).resume
        raise SearchStopped(f"stopped; continue with: {again}") from None
    except SearchStopped:
        raise
    except ArchSearchError:
        if not search.resumed and not search.searcher.history:
            folder.discard()
        raise
    finally:
        with suppress(RunError):  # the last state; all else has been uploaded
            folder.upload()


def _carry_out(
    search: Search,
    stream: TextIO | None,
    callbacks: Sequence[tune.Callback],
    changes: Mapping[str, Any],
    heartbeat: Heartbeat,
) -> SearchResult:
    configuration, searcher = search.configuration, search.searcher
    costs: dict[str, float] = {}
    started = time.perf_counter()
    known, before = _take_history(search)
    _check_budget(search, before, changes)
    if changes:
        search.folder.update(configuration)
    percent = search.evaluator.score_is_fraction
    idle = search.resumed and len(before) >= configuration.num_candidates
    if idle:
        _recall_latencies(search)
    if idle and not changes.keys() - {"num_candidates"} and _is_published(search.folder, len(before)):
        counted = Progress(configuration.num_candidates, percent, None)
        counted.take(before)
        heartbeat.follow(counted.state)
        costs |= {"total": time.perf_counter() - started, "evaluating": 0.0, "proposing": 0.0}
        tracked = None if configuration.tracking == "off" else search.folder.tracking_id
        return _result(search, known, costs, tracked, "complete", idle=True)
    _introduce(search, known, stream)
    announcement = Announcement(search.evaluator, stream)
    announcement.begin()
    # The searches of a study run one after the other, and each says whose line it is.
    label = f"{configuration.searcher} seed {configuration.seed}" if configuration.study else ""
    progress = Progress(configuration.num_candidates, percent, stream, label)
    heartbeat.follow(progress.state)
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
        progress.say(announcement.remark([row.evaluation for row in observations]))
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
    reason: Reason = "failed"
    try:
        if not idle:
            told.begin(configuration.num_candidates)
            _search(search, progress, costs, told)
        budget, spent_on_trials = configuration.time_budget, costs.get("trials", 0.0)
        timed_out = budget is not None and spent_on_trials >= budget
        if idle or (searcher.complete and searcher.num_proposed >= configuration.num_candidates):
            reason = "complete"
        else:
            reason = "exhausted" if searcher.complete else "time" if timed_out else "stopped"
    except KeyboardInterrupt:
        reason = "stopped"
    finally:
        searcher.close()
        told.end()
        if searcher.goals.latency is not None:
            searcher.goals.latency.close()
        costs["total"] = time.perf_counter() - started
        result = _result(search, known, costs, tracker.run_id if tracker is not None else None, reason, idle=idle)
        assert result.ending is not None
        progress.ended = result.ending.headline()
        progress.show(last=True)
        status = {"failed": "FAILED", "stopped": "KILLED"}.get(reason, "FINISHED")
        _publish(result, tracker, status, searcher, course)
        search.folder.upload()
    if reason == "stopped":
        raise SearchStopped(
            f"stopped: {len(result.evaluations)} of {configuration.num_candidates} candidates are in the ledger; "
            f"continue with: {result.summary.command}"
        )
    return result


def _known_before(search: Search) -> tuple[str, ...]:
    """Return a sentence on each thing that the search knew before."""
    starts = len(search.searcher.starts)
    first = (f"Started with {starts:,} given architecture{'s' if starts > 1 else ''}, counted as candidates.",) if starts else ()
    return (*first, *(each.sentence for each in search.learned))


def _check_budget(search: Search, before: Sequence[Observation], changes: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if a resumed run is to have fewer candidates than it has evaluated."""
    if "num_candidates" in changes and search.configuration.num_candidates < len(before):
        raise ConfigurationError(
            f"num_candidates: the run {search.folder.name} has {len(before)} candidates already; got "
            f"{search.configuration.num_candidates}. Give a larger number, such as {2 * len(before)}."
        )


def _recall_latencies(search: Search) -> None:
    """Take the latencies of a finished run from its table: nothing is measured again."""
    meter = search.searcher.goals.latency
    if meter is None:
        return
    try:
        table = pq.read_table(search.folder.report / "evaluations.parquet")
    except (OSError, pa.ArrowException):
        return
    names = [name for name in table.column_names if name.startswith(LATENCY)]
    for row in table.select(["architecture", *names]).to_pylist():
        meter.known.setdefault(row["architecture"], {name: row[name] for name in names if row[name] is not None})


def _is_published(folder: RunFolder, rows: int) -> bool:
    """Return whether the report holds all candidates and MLflow has received everything."""
    table = folder.report / "evaluations.parquet"
    try:
        complete = (folder.report / "report.html").is_file() and pq.read_metadata(table).num_rows == rows
    except (OSError, pa.ArrowException):
        return False
    return complete and not (folder.path / UNSENT).exists()


def _introduce(search: Search, known: Mapping[str, Evaluation], stream: TextIO | None) -> None:
    """Say what the search will propose, and what the ledger means for it."""
    if stream is None:
        return
    if isinstance(search.space, Listed):
        print(f"The table holds {search.space.size:,} architectures of the space; the search proposes only these.", file=stream)
    for sentence in _known_before(search):
        print(sentence, file=stream)
    if search.configuration.constraints:
        found = space_costs(search.space, search.searcher.goals, search.configuration.seed)
        if found is not None and found.is_tight:
            print(f"Warning: only {found.share_text()}.", file=stream)
    if search.resumed or not search.configuration.reuse or not known:
        return
    name = search.configuration.searcher
    effect = (
        f"{name} may propose other candidates than without them; with --deterministic it would not."
        if search.searcher.ledger_changes_course
        else f"{name} proposes the same candidates as without them."
    )
    print(f"The ledger holds {len(known):,} evaluations for this search, which are reused. {effect}", file=stream, flush=True)


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


def _take_history(search: Search) -> tuple[Mapping[str, Evaluation], list[Observation]]:
    """Give the searcher the evaluations in the ledger; return them by key, and the outcomes of this run so far."""
    search.ledger.compact()
    records, name = search.ledger.read(), search.folder.name
    known, mine = records.known(name), records.of(name)
    before: list[Observation] = []
    if search.resumed:
        search.folder.check_history(search.ledger, mine.table.num_rows)
        before = search.folder.outcomes(mine.entries(), known)
    repeats = search.searcher.deterministic or search.configuration.simulated_workers is not None
    if search.resumed and not repeats:
        search.searcher.replay(before)
    # A deterministic or simulated search proposes its candidates again from the first; the ledger answers those that it holds.
    search.searcher.ledger = known if search.configuration.reuse else mine.evaluations()
    return known, before


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
    allocation = allocate(configuration, searcher, search.evaluator)
    searcher.workers = configuration.simulated_workers or allocation.workers
    progress.needs = allocation.trial.amounts
    if allocation.lacking:
        progress.say(f"Waiting until the cluster has added room for {allocation.lacking}.")
    progress.begin()
    started = time.perf_counter()
    meter = searcher.goals.latency
    if meter is not None:
        meter.open(search.ledger.root, resources.cpus, resources.gpus)
        for row in searcher.history:  # of before a stop; they are in the ledger of latencies
            meter(row.evaluation.architecture)
    if not searcher.complete:
        searcher.open(allocation.actor_cpus)
    if configuration.simulated_workers is not None:
        known, searcher.ledger = searcher.ledger, {}  # else known outcomes would be reported earlier than others
        run_simulated(
            searcher,
            search.evaluator,
            ledger=search.ledger.root,
            run=search.folder.name,
            workers=configuration.simulated_workers,
            known=known,
            seconds=configuration.time_budget,
        )
    elif not searcher.complete and searcher.prepare():
        run_trials(
            searcher,
            search.evaluator,
            ledger=search.ledger.root,
            run=search.folder.name,
            folder=search.folder.new_tune_folder(),
            workers=allocation.workers,
            resources=resources,
            seconds=configuration.time_budget,
            callbacks=[progress, told],
        )
    costs["trials"] = time.perf_counter() - started
    costs |= {"proposing": searcher.seconds, **searcher.costs}
    costs["evaluating"] = sum(row.evaluation.seconds for row in searcher.history if not row.reused)


def _result(
    search: Search, known: Mapping[str, Evaluation], costs: dict[str, float], run_id: str | None, reason: Reason, *, idle: bool
) -> SearchResult:
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
    ending = Ending(
        reason=reason,
        evaluated=len(observations),
        wanted=configuration.num_candidates,
        given_up=max(0, search.searcher.num_proposed - len(observations)) if reason != "complete" else 0,
        seconds=costs.get("trials", 0.0),
        time_budget=configuration.time_budget,
        idle=idle,
    )
    summary = replace(
        summary_of(search.folder, configuration, evaluator, evaluations),
        settings=settings,
        costs=costs,
        remark=search.evaluator.remark([recorded.get(row.evaluation.key, row.evaluation) for row in observations]),
        known_before=_known_before(search),
        groups={
            name: tuple(row.evaluation.score for row in observations if row.evaluation.ok and row.evaluation.key in keys)
            for name, keys in search.searcher.groups.items()
        },
        exits=exit_curve(recorded.values(), evaluator.chance),
        space_costs=space_costs(search.space, search.searcher.goals, configuration.seed) if configuration.report else None,
        ending=ending,
    )
    return SearchResult(
        summary,
        search.space,
        search.folder.path,
        run_id,
        dict(evaluator.cost_arguments),
        ending=ending,
        stored_at=search.folder.address,
        training=SearchTraining.of(evaluator),
    )
