"""Cost of a search predicted from its first five evaluations, against the actual cost."""

from __future__ import annotations

import numpy as np

from archsearch.platform import units
from archsearch.platform.summary import SearchSummary

_FIRST = 5
_FEWEST = 2 * _FIRST


def forecast_table(summary: SearchSummary) -> list[list[str]]:
    """Return heading and rows: part of the cost, predicted time, actual time, actual / predicted.

    The prediction is the mean time of the first 5 evaluations times the number of candidates, as in a dry run. Evaluations that
    were reused from the ledger do not count. Empty if fewer than 10 evaluations remain.
    """
    paid = summary.paid[summary.paid > 0.0]
    if len(paid) < _FEWEST:
        return []
    predicted, actual = float(np.mean(paid[:_FIRST])) * summary.num_candidates, float(paid.sum())
    rows = [_row("evaluations, all workers", predicted, actual)]
    workers, trials = summary.settings.get("workers"), summary.costs.get("trials")
    # A table states the seconds of its trainings, not those of the look-up.
    if workers and trials and not summary.evaluator.startswith("table:"):
        rows.append(_row(f"trials, {workers} at once", predicted / workers, trials))
    if gpus := summary.settings.get("gpus_per_worker"):
        rows.append(_row("GPU time reserved", predicted * gpus, actual * gpus))
    return [["part", f"predicted from the first {_FIRST}", "actual", "actual / predicted"], *rows]


def _row(name: str, predicted: float, actual: float) -> list[str]:
    return [name, units.duration(predicted), units.duration(actual), f"{actual / predicted:.2f}"]
