"""What a search would cost as its first evaluations foretold, beside what it did cost."""

from __future__ import annotations

import numpy as np

from archsearch.platform import units
from archsearch.platform.summary import SearchSummary

_FIRST = 5
_FEWEST = 2 * _FIRST


def forecast_table(summary: SearchSummary) -> list[list[str]]:
    """Return heading and rows: part, time foretold by the first 5 evaluations paid for, time in fact, their ratio.

    The forecast is the mean of those evaluations times the candidates asked for, as a dry run reckons. It is empty where fewer
    than 10 evaluations were paid for, as in a search whose candidates come from the ledger.
    """
    paid = summary.paid[summary.paid > 0.0]
    if len(paid) < _FEWEST:
        return []
    foretold, actual = float(np.mean(paid[:_FIRST])) * summary.num_candidates, float(paid.sum())
    rows = [_row("evaluations, all workers", foretold, actual)]
    workers, trials = summary.settings.get("workers"), summary.costs.get("trials")
    # Seconds of a table are those of the trainings that it holds, not of looking them up.
    if workers and trials and not summary.evaluator.startswith("table:"):
        rows.append(_row(f"trials, {workers} at once", foretold / workers, trials))
    if gpus := summary.settings.get("gpus_per_worker"):
        rows.append(_row("GPU time reserved", foretold * gpus, actual * gpus))
    return [["part", f"foretold by the first {_FIRST}", "in fact", "in fact / foretold"], *rows]


def _row(name: str, foretold: float, actual: float) -> list[str]:
    return [name, units.duration(foretold), units.duration(actual), f"{actual / foretold:.2f}"]
