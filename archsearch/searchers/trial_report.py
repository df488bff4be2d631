"""The report of a trial of Ray Tune, as the outcome of its batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray.tune.result import AUTO_RESULT_KEYS, TIME_TOTAL_S

from archsearch.errors import ConfigurationError
from archsearch.evaluators.plain_number import plain_number


def outcome_of_report(
    report: Mapping[str, Any], trial: str, count: int, metric: str, mode: str, objectives: Sequence[str], steps: int | None
) -> Mapping[str, Any]:
    """Return the scores of a batch, of which larger is better, and the rest of its outcome in the order of its candidates.

    Args:
        report: The report: that of a batch has `scores`, that of one candidate the metric and the objectives by name.
        trial: Id of the trial, for messages.
        count: Number of candidates in the batch.
        metric: Name of the score.
        mode: `max` or `min`.
        objectives: Names of the objectives that are reported beside the score.
        steps: Number of reports after which the one candidate was scored; None if its evaluation is complete.

    Raises:
        ConfigurationError: The report lacks the score or an objective.
    """
    sign = -1.0 if mode == "min" else 1.0
    if "scores" in report:
        return report if mode != "min" else {**report, "scores": [_times(sign, score) for score in report["scores"]]}
    if count > 1:
        raise ConfigurationError(
            f"scores: trial {trial} reported none for its {count} candidates. Report scores, a list in the order of "
            'config["candidates"], or make the searcher with batch_size=1.'
        )
    needed = (metric, *objectives)
    lacking = [name for name in needed if name not in report]
    if lacking:
        reported = ", ".join(sorted(name for name in report if not _is_of_tune(name))) or "nothing"
        call = ", ".join(f'"{name}": ...' for name in needed)
        raise ConfigurationError(
            f"{lacking[0]}: trial {trial} did not report it, which the searcher needs; it reported {reported}. Call "
            f"tune.report({{{call}}}), or name another metric by metric=... of the searcher."
        )
    return {
        "scores": [_times(sign, report[metric])],
        "seconds": [report.get(TIME_TOTAL_S, 0.0)],
        "metrics": [[report[name]] for name in objectives],
        "fidelities": [steps],
    }


def _times(sign: float, score: Any) -> Any:
    """Return a number with the sign, and anything else as it is, for `Evaluation` to name."""
    number = plain_number(score)
    return score if number is None or sign > 0.0 else -number


def _is_of_tune(name: str) -> bool:
    """Return whether an entry of a flat report was added by Tune."""
    return name in (*AUTO_RESULT_KEYS, "done", "trial_id", "experiment_tag") or name.startswith("config/")
