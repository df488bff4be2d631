"""`archsearch status`, `runs` and `show`: what a search is doing or has done, from any terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from archsearch.credentials import hidden
from archsearch.platform import units
from archsearch.platform.run_state import FAILED, FINISHED, RUNNING, STOPPED, RunState, all_states, read_state

if TYPE_CHECKING:
    from archsearch.platform.result import SearchResult
    from archsearch.spaces import SearchSpace

_NOTE = 60  # characters


def add_runs(commands: Any) -> None:
    """Add the three subcommands."""
    status = commands.add_parser(
        "status",
        help="say how far a search is, from another terminal too",
        description="Say how far a search is: candidates, rate, time left, last improvements, failures by reason.",
    )
    status.add_argument("run", help="folder of the run, such as runs/NAME")
    status.set_defaults(action=lambda parsed: _print(status_text(read_state(parsed.run), time.time())))

    runs = commands.add_parser(
        "runs",
        help="list all runs with their states and best scores",
        description="List the runs in a folder, the newest first: state, candidates, best score.",
    )
    runs.add_argument("--storage", metavar="FOLDER", default="runs", help="folder of the runs (default: runs)")
    runs.set_defaults(action=lambda parsed: _print(runs_text(all_states(parsed.storage), time.time())))

    show = commands.add_parser(
        "show",
        help="show the ranked table of a run again, or that of a running search so far",
        description="Show the ranked table of a run again; while its search runs and after it was stopped, of what it has found.",
    )
    show.add_argument("run", help="folder of the run, such as runs/NAME")
    show.add_argument("--top", type=int, metavar="N", help="number of candidates (default: that of the run)")
    show.add_argument("--full", action="store_true", help="show whole architectures instead of short names")
    show.add_argument("--space", metavar="python:MODULE:CLASS", help="search space of the run, if it is one of your own")
    show.set_defaults(action=_show)


def status_text(state: RunState, now: float) -> str:
    """Return the state of a run in several lines.

    Args:
        state: The state.
        now: Seconds since 1970.
    """
    age = units.duration(now - state.updated) if state.updated else "an unknown time"
    lines = [f"{state.name}: {state.status}" + (f" ({state.note})" if state.note else "")]
    if state.searcher:
        lines.append(f"Search:      {state.searcher} in {state.space}, scored by {state.evaluator}")
    done = f"Candidates:  {state.done}/{state.total}"
    parts = [f"{state.reused} reused"] if state.reused else []
    parts += [f"{state.failed} failed"] if state.failed else []
    parts += [f"{state.stopped_early} stopped early"] if state.stopped_early else []
    parts += [f"{state.paused} paused"] if state.paused and state.status in (RUNNING, STOPPED) else []
    lines.append(f"{done} ({', '.join(parts)})" if parts else done)
    lines.append(f"Best:        {_score(state.best, state)}" + (f" after {state.best_at}" if state.best_at else ""))
    if state.improvements:
        steps = ", ".join(f"{_score(score, state)} at candidate {number}" for number, score in state.improvements)
        lines.append(f"Improved:    {steps}")
    if state.status == RUNNING:
        if state.rate:
            left = f", about {units.duration(max(1.0, state.left))} left" if state.left else ""
            lines.append(f"Pace:        {units.rate(state.rate)}{left}")
        lines.append(f"Running:     {units.duration(now - state.started)}, process {state.process} of {state.host}")
    else:
        lines.append(f"Last change: {age} ago")
    lines += [f"Failed:      {count} of {reason}" for reason, count in state.failures]
    return "\n".join(lines)


def runs_text(states: list[RunState], now: float) -> str:
    """Return a table of runs, the newest first.

    Args:
        states: Their states.
        now: Seconds since 1970.
    """
    if not states:
        return "There are no runs here. Start one: archsearch run"
    early = any(state.stopped_early for state in states)
    heading = ["run", "searcher", "space", "state", "candidates", *(["stopped early"] if early else []), "best", "age"]
    rows = [
        [
            *(state.name, state.searcher or "-", state.space or "-", state.status),
            f"{state.done}/{state.total}",
            *([str(state.stopped_early or "-")] if early else []),
            _score(state.best, state),
            units.duration(max(0.0, now - (state.started or state.updated))) if state.started or state.updated else "-",
        ]
        for state in states
    ]
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    texts = [heading, *rows]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 4 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]
    counts = {name: sum(state.status == name for state in states) for name in (RUNNING, FINISHED, STOPPED, FAILED)}
    lines.append(", ".join(f"{count} {name}" for name, count in counts.items() if count))
    return "\n".join(lines)


def result_text(result: SearchResult, *, full: bool = False, top: int | None = None) -> str:
    """Return the ranked table of a search, and the Pareto front of one with several objectives.

    Args:
        result: The search.
        full: Whether to show whole architectures instead of short names and outlines.
        top: Number of candidates; None takes the setting of the search.
    """
    from archsearch.platform.ranking import aligned, format_ranked
    from archsearch.platform.short_form import shortened
    from archsearch.platform.trade_off import front_table, hypervolume

    summary = result.summary
    space: SearchSpace | None = None if full else result.space
    parts = [format_ranked(summary, top or summary.settings["top"], space)]
    if summary.is_multi_objective and len(front := front_table(summary)) > 1:
        table = front if space is None else shortened(front, space)
        title = f"Pareto front of {', '.join(map(str, summary.objectives))}"
        parts.append(f"{title}\n{aligned(table)}\nHypervolume: {hypervolume(summary):.4f}")
    return "\n\n".join(parts)


def _show(parsed: Any) -> int:
    from archsearch.errors import check_whole_number
    from archsearch.platform.result import finished_run, unfinished_run

    if parsed.top is not None:
        check_whole_number("top", parsed.top)
    state = read_state(parsed.run)
    read = finished_run if state.status == FINISHED else unfinished_run
    result = read(parsed.run, parsed.space)
    note = f" ({state.note})" if state.note else ""
    print(hidden(f"{state.name}: {state.status}{note}, {len(result.evaluations)}/{state.total} candidates"))
    print(result_text(result, full=parsed.full, top=parsed.top))
    if result.summary.early_stopping is not None and state.status == FINISHED:
        print(f"\n{result.summary.early_stopping.sentence()}")
    if state.status == FINISHED:
        print(f"\nReport:    {result.report}")
        print(f"Use it:    {result.summary.use}")
    elif state.status != RUNNING:
        print(f"\nContinue:  {result.summary.command}")
    return 0


def _print(text: str) -> int:
    print(hidden(text))  # a state of an older version may hold an address with a password
    return 0


def _score(score: float | None, state: RunState) -> str:
    return "-" if score is None else units.score(score, state.percent, state.lower_is_better) + (" %" if state.percent else "")
