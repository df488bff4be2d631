"""Running a search from its settings to its report: `run_search` and `resume_search`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq
from ray import tune
from ray.tune.schedulers import TrialScheduler

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
from archsearch.evaluators.function.reference import function_text
from archsearch.evaluators.score_names import LATENCY
from archsearch.platform.advice import advice
from archsearch.platform.allocation import allocate
from archsearch.platform.candidate_callbacks import check_callbacks
from archsearch.platform.configuration import from_mapping, with_default_job
from archsearch.platform.ending import Ending, Reason
from archsearch.platform.learned import evaluations_among, texts_of
from archsearch.platform.observers import Observers
from archsearch.platform.preparation import Search, check_parts, prepare
from archsearch.platform.quick_checks import SCHEDULERS
from archsearch.platform.result import SearchResult, evaluations_table, summary_of
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_space import space_of_run
from archsearch.platform.run_state import Heartbeat
from archsearch.platform.scheduled_search import partial_entries, partial_history, run_scheduled, with_course
from archsearch.platform.space_costs import space_costs
from archsearch.platform.tracking.curves import exit_curve
from archsearch.platform.tracking.unsent import UNSENT
from archsearch.platform.training.search_training import SearchTraining
from archsearch.searchers import ArchitectureSearcher, Observation
from archsearch.searchers import get as get_searcher
from archsearch.searchers import names as searcher_names
from archsearch.spaces import SearchSpace
from archsearch.spaces.listed import Listed

_SCHEDULER = "the name of a scheduler, such as asha, or a scheduler of ray.tune.schedulers"


def run_search(
    space: str | SearchSpace | None = None,
    searcher: str | ArchitectureSearcher | Any = None,
    evaluator: str | Evaluator | Callable[..., Any] | None = None,
    num_candidates: int | None = None,
    seed: int = 0,
    name: str | None = None,
    storage: str | Path = "runs",
    resume: bool = False,
    *,
    scheduler: str | TrialScheduler | None = None,
    progress: bool = True,
    callbacks: Sequence[tune.Callback] = (),
    **settings: Any,
) -> SearchResult:
    """Search for architectures, and write a ranked table, pictures, a report and an MLflow run.

    Without a space, a searcher and an evaluator it runs `configuration.DEFAULT_JOB`: a Gaussian process chooses cells for digits.

    Args:
        space: A search space or its name; None takes `nasbench201`.
        searcher: A searcher or its name, or a function of (Tune domains, seed) that returns a Ray Tune search algorithm;
            None takes `evolution`.
        evaluator: `train:DATASET`, `table:NAME`, `table:PATH#COLUMN`, `python:MODULE:FUNCTION`, an evaluator, or a function of
            (model, context) that trains and scores a candidate, see `evaluators.FunctionEvaluator`, whose further arguments are
            `evaluator_options`; None takes `train:digits`.
        num_candidates: Number of candidates to propose; None takes 40.
        seed: Seed of the search.
        name: Name of the run; None makes one from the settings and the time.
        storage: Folder that holds the runs and the ledger: a path, `file:///PATH`, or `s3://BUCKET/FOLDER`.
        resume: Whether to continue the run called `name`.
        scheduler: What stops or pauses poor candidates early: `asha`, `hyperband`, `median`, `promotion`, `module:Class`, or a
            scheduler of `ray.tune.schedulers`; None evaluates each candidate to the end.
        progress: Whether to show a live line on standard error.
        callbacks: Callbacks of Ray Tune, such as `[ray.tune.logger.TBXLoggerCallback()]`; they see one trial for each candidate,
            with the architecture and its genes as the configuration and all metrics as the result. Files of loggers are in the
            folder `candidates` of the run. One that raises an error is logged and not called again.
        **settings: Further fields of `SearchConfiguration`, such as `workers=4`, `searcher_options={"population_size": 50}`,
            `start=[architecture, ...]` or `learn_from="runs/NAME"`; that may also be the result of a search, evaluations, what
            a search found, or a list of these. `preset="paper"` is short for `searcher_options={"preset": "paper"}`: model and
            search of the searcher as published; options that are given replace those of the preset.

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
    check_kind("scheduler", scheduler, (str, TrialScheduler, type(None)), _SCHEDULER)
    given_names = {
        key: value if isinstance(value, str) else _name_of(key, value) for key, value in names.items() if value is not None
    }
    given = {**given_names, "seed": seed, "name": name, "storage": str(storage), **settings}
    if num_candidates is not None:
        given["num_candidates"] = num_candidates
    given |= {key: texts_of(key, settings[key]) for key in ("start", "learn_from") if settings.get(key) is not None}
    if scheduler is not None:
        given["scheduler"] = scheduler if isinstance(scheduler, str) else type(scheduler).__name__
    configuration = from_mapping(with_default_job(given), origin="run_search")
    if resume and name is None:
        raise ConfigurationError("name: expected the name of the run to resume; got None. Give its name.")
    parts: dict[str, Any] = {key: getattr(configuration, key) if value is None else value for key, value in names.items()}
    with _stopped_early():
        search = prepare(
            configuration,
            **parts,
            resume=resume,
            scheduler=_object(scheduler),
            outcomes=evaluations_among(settings.get("learn_from")),
        )
    return _run(search, sys.stderr if progress else None, callbacks)


def _name_of(key: str, value: Any) -> str:
    if key == "evaluator" and not isinstance(value, Evaluator):
        return function_text(value)
    return str(getattr(value, "name", type(value).__name__))


CHANGEABLE = (
    *("num_candidates", "time_budget", "workers", "cpus_per_worker", "gpus_per_worker", "address", "tracking"),
    *("system_metrics", "study", "top", "report", "reuse", "checkpoint_gb"),
)
"""Settings of a run that may change when it is resumed; the others decide which candidates are proposed and how they score."""


def resume_search(
    run: str | Path,
    space: SearchSpace | str | None = None,
    *,
    scheduler: TrialScheduler | None = None,
    progress: bool = True,
    callbacks: Sequence[tune.Callback] = (),
    **changes: Any,
) -> SearchResult:
    """Continue a run from its folder; candidates that are in the ledger are not evaluated again.

    A finished run is returned as it is; a report or figures for MLflow that are missing are written.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.
        space: Its search space, or `python:MODULE:CLASS`, if that is one of your own; None takes the one that the run names.
        scheduler: Its scheduler, if it was started with an object; one that has a name needs not be given.
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
    _check_scheduler(folder, before.scheduler, scheduler)
    found = space_of_run(configuration, space)
    with _stopped_early():
        search = prepare(configuration, found, configuration.searcher, configuration.evaluator, True, scheduler)
    return _run(search, sys.stderr if progress else None, callbacks, changes)


def _object(scheduler: str | TrialScheduler | None) -> TrialScheduler | None:
    return None if isinstance(scheduler, str) else scheduler


def _check_scheduler(folder: RunFolder, before: str | None, given: TrialScheduler | None) -> None:
    """Raise ConfigurationError unless a run that is resumed is given the scheduler that its settings cannot hold."""
    check_kind("scheduler", given, (TrialScheduler, type(None)), "the scheduler with which the run was started, or None")
    is_object = before is not None and before not in SCHEDULERS and ":" not in before
    name = None if given is None else type(given).__name__
    if is_object and name != before:
        raise ConfigurationError(
            f"scheduler: the run {folder.name} was started with an object of the class {before}, which its settings cannot hold; "
            f"got {name}. Give one with the same settings again: resume_search({folder.address!r}, scheduler={before}(...))."
        )
    if not is_object and given is not None:
        kept = "no scheduler" if before is None else f"the scheduler {before}, which need not be given again"
        raise ConfigurationError(f"scheduler: the run {folder.name} was started with {kept}; got {name}. Leave it out.")


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
    figures["lower_is_better"] = search.evaluator.lower_is_better
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
    idle = search.resumed and len(before) >= configuration.num_candidates
    if search.stepwise is not None and configuration.simulated_workers is not None:
        idle = idle and _is_published(search.folder, len(before))  # else paused candidates may have to go on
    if idle:
        _recall_latencies(search)
    if idle and not changes.keys() - {"num_candidates"} and _is_published(search.folder, len(before)):
        counted = search.progress(None)
        counted.take(before)
        heartbeat.follow(counted.state)
        costs |= {"total": time.perf_counter() - started, "evaluating": 0.0, "proposing": 0.0}
        tracked = None if configuration.tracking == "off" else search.folder.tracking_id
        return _result(search, known, costs, tracked, "complete", idle=True)
    _introduce(search, known, stream)
    observers = Observers(search, stream, callbacks, partial(_recorded, search, known))
    heartbeat.follow(observers.progress.state)
    costs["tracking"] = time.perf_counter() - started
    reason: Reason = "failed"
    try:
        if not idle:
            observers.begin()
            _search(search, observers, costs)
        reason = "complete" if idle else _reason(search, costs)
    except KeyboardInterrupt:
        reason = "stopped"
    finally:
        searcher.close()
        observers.candidates.end()
        if searcher.goals.latency is not None:
            searcher.goals.latency.close()
        costs["total"] = time.perf_counter() - started
        result = _result(search, known, costs, observers.run_id, reason, idle=idle)
        observers.finish(result, reason)
        search.folder.upload()
    if reason == "stopped" and result.ending is not None:
        part = f", {result.ending.in_hand} more in part" if result.ending.in_hand else ""
        raise SearchStopped(
            f"stopped: {result.ending.evaluated} of {configuration.num_candidates} candidates are in the ledger{part}; "
            f"continue with: {result.summary.command}"
        )
    return result


def _reason(search: Search, costs: Mapping[str, float]) -> Reason:
    """Return what ended a search that raised nothing."""
    searcher, budget = search.searcher, search.configuration.time_budget
    if searcher.complete:
        return "complete" if searcher.num_proposed >= search.configuration.num_candidates else "exhausted"
    return "time" if budget is not None and costs.get("trials", 0.0) >= budget else "stopped"


def _known_before(search: Search) -> tuple[str, ...]:
    """Return sentences on how its method was set up, and on each thing that the search knew before."""
    starts = len(search.searcher.starts)
    first = (f"Started with {starts:,} given architecture{'s' if starts > 1 else ''}, counted as candidates.",) if starts else ()
    return (*search.searcher.notes, *first, *(each.sentence for each in search.learned))


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


def _take_history(search: Search) -> tuple[Mapping[str, Evaluation], list[Observation]]:
    """Give the searcher the evaluations in the ledger; return them by key, and the outcomes of this run so far."""
    search.ledger.compact()
    records, name = search.ledger.read(), search.folder.name
    known, mine = records.known(name), records.of(name)
    before: list[Observation] = []
    if search.resumed:
        stopped = partial_entries(search)
        search.folder.check_history(search.ledger, mine.table.num_rows + len(stopped))
        before = search.folder.outcomes([*mine.entries(), *stopped], known)
    repeats = search.searcher.deterministic or search.configuration.simulated_workers is not None
    if search.resumed and not repeats:
        search.searcher.replay(before, partial_history(search))
    # A deterministic or simulated search proposes its candidates again from the first; the ledger answers those that it holds.
    search.searcher.ledger = known if search.configuration.reuse else mine.evaluations()
    return known, before


def _recorded(search: Search, known: Mapping[str, Evaluation], observations: Sequence[Observation]) -> list[Evaluation]:
    """Return the evaluations of observations with all metrics, from the ledger."""
    batches = {observation.batch for observation in observations if not observation.reused}
    entries = [entry for batch in sorted(batches) for entry in search.ledger.entries(search.folder.name, batch)]
    if search.stepwise is not None:
        entries += [entry for batch in sorted(batches) for entry in search.ledger.partial(search.folder.name, batch)]
    paid = {(entry.evaluation.key, entry.evaluation.fidelity): entry.evaluation for entry in entries}
    seen = [observation.evaluation for observation in observations]
    return [paid.get((each.key, each.fidelity)) or known.get(each.key, each) for each in seen]


def _search(search: Search, observers: Observers, costs: dict[str, float]) -> None:
    configuration, searcher, progress = search.configuration, search.searcher, observers.progress
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
    if search.stepwise is not None:
        run_scheduled(search, observers, allocation.workers, resources)
    elif configuration.simulated_workers is not None:
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
            callbacks=[progress, observers.candidates],
        )
    costs["trials"] = time.perf_counter() - started
    costs |= {"proposing": searcher.seconds, **searcher.costs}
    costs["evaluating"] = sum(row.evaluation.seconds for row in searcher.history if not row.reused)


def _result(
    search: Search, known: Mapping[str, Evaluation], costs: dict[str, float], run_id: str | None, reason: Reason, *, idle: bool
) -> SearchResult:
    configuration, evaluator = search.configuration, search.evaluator
    entries = [*search.ledger.entries(search.folder.name), *partial_entries(search, ended=False)]
    paid = {entry.evaluation.key: entry.evaluation for entry in entries}
    seen = {observation.evaluation.key for observation in search.searcher.history}
    # After a stop the ledger may hold outcomes that the searcher has not received.
    late = [row for row in search.folder.outcomes(entries, known) if row.evaluation.key not in seen]
    ended = {entry.evaluation.key for entry in partial_entries(search)}
    in_hand = sum(row.evaluation.is_partial and row.evaluation.key not in ended for row in late)
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
    scored = [recorded.get(row.evaluation.key, row.evaluation) for row in observations]
    # Those after the first rung compare; the others are of the better candidates alone.
    first = {} if search.stepwise is None else search.searcher.first_scores
    evaluations = evaluations_table(observations, recorded, set(paid), evaluator, scheduled=search.stepwise is not None)
    summary = replace(
        summary_of(search.folder, configuration, evaluator, evaluations),
        settings=settings,
        costs=costs,
        remark=search.evaluator.remark([each for each in scored if not each.is_partial]),
        known_before=_known_before(search),
        groups={
            name: tuple(
                first.get(row.evaluation.key, row.evaluation.score)
                for row in observations
                if row.evaluation.ok and row.evaluation.key in keys
            )
            for name, keys in search.searcher.groups.items()
        },
        exits=exit_curve(recorded.values(), evaluator.chance),
        space_costs=space_costs(search.space, search.searcher.goals, configuration.seed) if configuration.report else None,
    )
    summary = with_course(search, summary, scored, in_hand)
    ending = Ending(
        reason=reason,
        evaluated=len(observations) - in_hand,
        wanted=configuration.num_candidates,
        given_up=max(0, search.searcher.num_proposed - len(observations)) if reason != "complete" else 0,
        in_hand=in_hand,
        seconds=costs.get("trials", 0.0),
        time_budget=configuration.time_budget,
        idle=idle,
    )
    summary = replace(summary, ending=ending)
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
