"""Searches with a scheduler: the run step by step, the decisions, and the partial evaluations."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from archsearch.cluster import Entry, TrialResources
from archsearch.cluster.ledger.rungs import ENDED, RungEvent, RungLog, candidates_in_hand, partial_outcomes
from archsearch.cluster.schedulers.clock import ClockEvent
from archsearch.cluster.trials.simulated_clock import run_simulated_clock
from archsearch.cluster.trials.stepwise import run_stepwise
from archsearch.evaluators import Evaluation
from archsearch.platform.early_stopping import learning_curves
from archsearch.platform.observers import Observers
from archsearch.platform.preparation import Search
from archsearch.platform.summary import SearchSummary
from archsearch.searchers import Observation
from archsearch.searchers.funnel import funnel


def run_scheduled(search: Search, observers: Observers, workers: int, resources: TrialResources) -> None:
    """Evaluate candidates step by step until the search has finished, the time is up, or Ctrl-C is pressed.

    Args:
        search: The search, with a scheduler.
        observers: Those that follow it.
        workers: Number of candidates that are evaluated at once.
        resources: Resources of each.

    Raises:
        ArchSearchError: The search cannot go on.
    """
    assert search.stepwise is not None and search.scheduler is not None, "else nothing decides between steps"
    configuration, searcher = search.configuration, search.searcher
    known, searcher.ledger = searcher.ledger, {}  # outcomes that are known go through the scheduler, too
    if configuration.simulated_workers is None:
        run_stepwise(
            searcher,
            search.stepwise,
            scheduler=search.scheduler,
            ledger=search.ledger.root,
            run=search.folder.name,
            folder=search.folder.new_tune_folder(),
            workers=workers,
            resources=resources,
            seconds=configuration.time_budget,
            callbacks=[observers.progress, observers.candidates],
            checkpoint_gb=configuration.checkpoint_gb,
            deterministic=configuration.deterministic,
            lag=searcher.lag,
            known=known,
            reuse=configuration.reuse,
            on_rung=observers.progress.take_rung,
        )
        return
    until = math.inf if configuration.time_budget is None else time.perf_counter() + configuration.time_budget
    course = run_simulated_clock(
        searcher,
        search.stepwise,
        workers=configuration.simulated_workers,
        scheduler=search.scheduler,
        ledger=search.ledger.root,
        run=search.folder.name,
        known=known,
        on_event=lambda event: time.perf_counter() >= until,
    )
    search.simulated = _rung_events(course)


def decisions(search: Search) -> list[RungEvent]:
    """Return what the scheduler has decided in this run, in its order; empty without a scheduler."""
    if search.stepwise is None or search.configuration.simulated_workers is not None:
        return search.simulated
    return RungLog(search.ledger, search.folder.name).read()


def partial_entries(search: Search, *, ended: bool = True) -> list[Entry]:
    """Return the partial evaluations of this run, each candidate once; empty without a scheduler.

    Args:
        search: The search.
        ended: Whether to leave out candidates that a resumed run goes on with.
    """
    return [] if search.stepwise is None else partial_outcomes(search.ledger, search.folder.name, ended=ended)


def with_course(search: Search, summary: SearchSummary, scored: Sequence[Evaluation], in_hand: int) -> SearchSummary:
    """Return a summary with the learning curves and rungs of the search; the same without a scheduler.

    Args:
        search: The search.
        summary: Its summary.
        scored: All evaluations, with their curves.
        in_hand: Number of candidates that were evaluated in part and that a resumed search goes on with.
    """
    early = summary.early_stopping
    if early is None or search.stepwise is None:
        return summary
    curves = learning_curves(scored, search.stepwise.fidelities)
    rungs = funnel(decisions(search), ranked=search.searcher.ranked, ranking_seconds=sum(search.searcher.costs.values()))
    found = replace(early, stopped=max(0, early.stopped - in_hand), curves=curves, rungs=rungs)
    return replace(summary, early_stopping=found)


def partial_history(search: Search) -> list[tuple[int, Observation]]:
    """Return the partial evaluations that the searcher had seen before a stop, each with the number of outcomes before it.

    Those with which candidates were paused when the search stopped are left out: the searcher is told of them again.
    """
    events = decisions(search)
    paused = {event.order for event in candidates_in_hand(events).values() if event.action == "PAUSE"}
    found, outcomes = [], 0
    for event in events:
        outcomes += event.action in ENDED
        if event.action in ("CONTINUE", "PAUSE") and event.has_score and event.order not in paused:
            architecture = search.space.parse(event.architecture)
            evaluation = Evaluation(architecture, event.key, event.score, event.metrics, fidelity=event.fidelity)
            found.append((outcomes, Observation(event.trial, 0, evaluation, False)))
    return found


def _rung_events(course: Sequence[ClockEvent]) -> list[RungEvent]:
    """Return the course of a simulated search as events of a scheduler."""
    found, spent = [], dict[int, float]()
    for order, event in enumerate(course):
        if event.evaluation is None:
            continue
        paid = event.seconds - spent.get(event.number, 0.0)
        spent[event.number] = event.seconds
        each = event.evaluation
        found.append(
            RungEvent(
                *(order, event.number, each.key, str(each.architecture), event.fidelity, event.score),
                action=event.action,
                reason=event.reason,
                seconds=paid,
            )
        )
    return found
