"""`archsearch replay`: what a scheduler would have saved and lost in a past run, from its recorded learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.platform import units

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from archsearch.cluster.schedulers.replay import Curve, Replay
    from archsearch.spaces import SearchSpace

_ROWS = 10
_EPILOG = """examples:
  archsearch replay runs/NAME                                       the settings that would have lost nothing
  archsearch replay runs/NAME --scheduler asha
  archsearch replay runs/NAME --scheduler asha --scheduler-set grace_period=2 --scheduler-set reduction_factor=4
"""


def add_replay(commands: Any) -> None:
    """Add the subcommand."""
    from argparse import RawDescriptionHelpFormatter

    replay = commands.add_parser(
        "replay",
        help="say what a scheduler would have saved and lost in a past run",
        description="From the recorded learning curves of a past run: what a scheduler would have saved and lost, and "
        "the settings that would have lost nothing. Nothing is evaluated.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    replay.add_argument("run", help="folder of the run, such as runs/NAME")
    replay.add_argument("--scheduler", help="asha, hyperband, median, promotion, or module:Class (default: only the list)")
    replay.add_argument(
        "--scheduler-set", action="append", default=[], metavar="NAME=VALUE", help="option of the scheduler; repeatable"
    )
    replay.add_argument("--workers", type=int, metavar="N", help="number of workers (default: that of the run, else 1)")
    replay.add_argument("--space", metavar="python:MODULE:CLASS", help="search space of the run, if it is one of your own")
    replay.set_defaults(action=_replay)


@dataclass(frozen=True)
class RunReplay:
    """What schedulers would have done in a past run.

    Args:
        name: Name of the run.
        curves: Learning curves of its candidates, in the order of proposal.
        max_fidelity: Fidelity of a complete evaluation.
        fidelity_name: What the fidelity counts, in the plural.
        workers: Number of workers of the replay.
        percent: Whether scores are accuracies, shown in percent.
        chosen: The replay of the scheduler that was asked for; None if none was.
        lossless: The replays of settings that lose nothing, the one that saves most first.
    """

    name: str
    curves: Sequence[Curve]
    max_fidelity: int
    fidelity_name: str
    workers: int
    percent: bool
    chosen: Replay | None
    lossless: Sequence[Replay]

    def text(self) -> str:
        """Return the outcome as text."""
        parts = [self._opening()]
        if self.chosen is not None:
            parts.append(self._of(self.chosen))
        parts.append(self._table())
        return "\n\n".join(parts)

    def _opening(self) -> str:
        seconds = sum(sum(curve.seconds) for curve in self.curves)
        complete = sum(curve.complete for curve in self.curves)
        text = (
            f"{self.name}: {len(self.curves)} learning curves of at most {self.max_fidelity} {self.fidelity_name}, "
            f"{units.duration(seconds)} of evaluations, sum over workers."
        )
        if partial := len(self.curves) - complete:
            text += (
                f"\n{partial} of them end earlier, because the run had a scheduler: what these candidates would have reached is "
                "not known, and losses may be larger than shown."
            )
        return text

    def _of(self, found: Replay) -> str:
        points = units.score(found.lost, self.percent) + " points" * self.percent
        saved, whole = units.duration(found.saved_seconds), units.duration(found.full_seconds)
        lost = (
            "nothing: the best candidate would have been found"
            if found.lost <= 0.0
            else f"{points}: {self._score(found.kept)} instead of {self._score(found.best)}"
        )
        lines = [
            f"{found.scheduler}{_settings(found.options)}, {self.workers} worker{'s' * (self.workers > 1)}",
            f"Saved:     {saved} of {whole} ({100 * found.saved:.0f} %)",
            f"Lost:      {lost}",
            f"Stopped:   {len(found.stopped)} of {len(self.curves)} candidates; {found.complete} would have come to the end",
        ]
        if found.cut_short:
            lines.append(f"Not known: {found.cut_short} would have gone on beyond their recorded {self.fidelity_name}")
        return "\n".join(lines)

    def _table(self) -> str:
        if not self.lossless:
            return "No setting that was tried would have saved time without losing the best candidate."
        heading = ["scheduler", "settings", "saved", "to the end"]
        rows = [
            [
                found.scheduler,
                _settings(found.options).strip(" ()") or "-",
                f"{100 * found.saved:.0f} %",
                f"{found.complete} of {len(self.curves)}",
            ]
            for found in self.lossless[:_ROWS]
        ]
        widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [heading, *rows]
        ]
        return "\n".join(
            [
                "Settings that would have lost nothing, the one that saves most first:",
                *lines,
                "A run is one sample: settings that lose nothing here may lose something in the next search.",
            ]
        )

    def _score(self, score: float) -> str:
        return units.score(score, self.percent) + (" %" if self.percent else "")


def replay_run(
    run: str | Path,
    scheduler: str | TrialScheduler | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    workers: int | None = None,
    space: SearchSpace | str | None = None,
) -> RunReplay:
    """Return what a scheduler would have saved and lost in a past run, and the settings that would have lost nothing.

    The candidates come in the order in which the run proposed them: what a searcher would have proposed after other scores is not
    part of the replay. A reused evaluation counts with the seconds that it cost originally.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.
        scheduler: Name of a scheduler, `module:Class`, or a scheduler of `ray.tune.schedulers`; None lists the settings alone.
        options: Options of the scheduler, such as `{"grace_period": 2}`.
        workers: Number of workers; None takes that of the run, or 1.
        space: Its search space, if that is one of your own.

    Raises:
        RunError: The folder holds no run.
        ConfigurationError: Its evaluations have no learning curves, or the scheduler cannot be used.
        LedgerError: The ledger cannot be read.

    Example:
        >>> print(replay_run("runs/first", "asha", {"grace_period": 2}).text())
    """
    from archsearch.cluster.schedulers.replay import replay, settings_without_loss
    from archsearch.errors import ConfigurationError, check_whole_number
    from archsearch.evaluators import StepwiseEvaluator
    from archsearch.platform.early_stopping import learning_curves
    from archsearch.platform.result import recorded_evaluations

    if workers is not None:
        check_whole_number("workers", workers)
    if options and scheduler is None:
        raise ConfigurationError(
            f"scheduler_options: expected none without a scheduler; got {', '.join(options)}. Give a scheduler, such as asha."
        )
    configuration, evaluator, evaluations = recorded_evaluations(run, space)
    stepwise = evaluator if isinstance(evaluator, StepwiseEvaluator) else None
    curves = list(learning_curves(evaluations, stepwise.fidelities if stepwise else None, evaluator.score_name).values())
    if not curves:
        raise ConfigurationError(
            f"run: the evaluations of {Path(str(run)).name} have no learning curves, so nothing can be replayed. Trainings and "
            "tables with learning curves have them."
        )
    max_fidelity = stepwise.max_fidelity if stepwise else max(curve.steps[-1] for curve in curves)
    given: dict[str, Any] = {
        "max_fidelity": max_fidelity,
        "fidelity_name": stepwise.fidelity_name if stepwise else "steps",
        "workers": workers or configuration.simulated_workers or configuration.workers or 1,
    }
    chosen = None if scheduler is None else replay(curves, scheduler, options, **given)
    lossless = settings_without_loss(curves, **given)
    return RunReplay(Path(str(run)).name, curves, percent=evaluator.score_is_fraction, chosen=chosen, lossless=lossless, **given)


def _settings(options: Mapping[str, Any]) -> str:
    """Return options in words, such as ` (grace_period 2, reduction_factor 3)`; an empty string for none."""
    return f" ({', '.join(f'{name} {value}' for name, value in options.items())})" if options else ""


def _replay(parsed: Any) -> int:
    from archsearch.platform.configuration import parse_options
    from archsearch.platform.quick_checks import check_scheduler

    check_scheduler(parsed.scheduler)
    options = parse_options(parsed.scheduler_set)
    print(replay_run(parsed.run, parsed.scheduler, options, workers=parsed.workers, space=parsed.space).text())
    return 0
