"""MLflow run of a comparison: mean and 95 % interval of each searcher."""

from __future__ import annotations

import logging

import numpy as np

from archsearch import __version__
from archsearch.errors import first_line
from archsearch.evaluators.metrics import Interval
from archsearch.platform.comparison.comparison import Comparison
from archsearch.platform.report.figures import running_best
from archsearch.platform.tracking.curves import Point, milliseconds_now, on_candidate_grid
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.saved_view import study_address
from archsearch.platform.tracking.store import shown_uri, tracking_uri

logger = logging.getLogger(__name__)


def track_comparison(comparison: Comparison, tracking: str, storage: str) -> None:
    """Write means, intervals and mean curves of all searchers to one MLflow run, with the figure; log errors, do not raise them.

    Args:
        comparison: The comparison.
        tracking: MLflow tracking URI, `auto` or `off`.
        storage: Storage of the searches.
    """
    if tracking == "off":
        return
    uri = tracking_uri(tracking, storage)
    summary = comparison.outcomes[0].results[0].summary
    tags = {
        "study": comparison.study,
        "space": summary.space,
        "dataset": summary.task,
        "version": __version__,
        "kind": "comparison",
    }
    params = {"evaluator": summary.evaluator, "num_candidates": summary.num_candidates}
    if comparison.simulated_workers is not None:
        params["simulated_workers"] = comparison.simulated_workers
    run = MlflowRun(uri, f"{summary.space}/{summary.task}", comparison.study, tags, params)
    points = comparison_points(comparison)
    try:
        run.connect()
        for start in range(0, len(points), 1000):
            run.log_points(points[start : start + 1000])
        run.log_artifacts(comparison.folder)
        run.finish("FINISHED")
    except Exception as error:  # the results are already in the folder
        reason = first_line(error)[:300]
        logger.warning("MLflow at %s does not take the comparison (%s); it is in %s", shown_uri(uri), reason, comparison.folder)


def study_url(comparison: Comparison, tracking: str, storage: str) -> str | None:
    """Return the address of the study's charts on an MLflow server, or None where the store is a file.

    `archsearch ui` serves such a file, and prints the address.

    Args:
        comparison: The comparison.
        tracking: MLflow tracking URI, `auto` or `off`.
        storage: Storage of the searches.
    """
    if tracking == "off" or not (uri := tracking_uri(tracking, storage)).startswith(("http://", "https://")):
        return None
    from mlflow import MlflowClient

    summary = comparison.outcomes[0].results[0].summary
    try:
        experiment = MlflowClient(uri).get_experiment_by_name(f"{summary.space}/{summary.task}")
    except Exception:  # the server was asked before, and what went wrong has been said
        return None
    if experiment is None:
        return None
    return f"{shown_uri(uri).rstrip('/')}/{study_address(experiment.experiment_id, comparison.study)}"


def comparison_points(comparison: Comparison) -> list[Point]:
    """Return mean and 95 % interval of each searcher's best, its mean best-so-far curve, and results at equal cost if known."""
    now = milliseconds_now()
    points = _at_equal_cost(comparison, now) if comparison.costs_known else []
    for outcome in comparison.outcomes:
        for metric in filter(None, ("score", outcome.test_metric)):
            interval = outcome.best(metric)
            for name, value in _named(interval, len(outcome.results)):
                points.append(Point(f"comparison/{outcome.searcher}/best_{metric}_{name}", value, 0, now))
        if any(result.summary.is_multi_objective for result in outcome.results):
            volume = outcome.hypervolume
            for name, value in _named(volume, len(outcome.results)):
                points.append(Point(f"comparison/{outcome.searcher}/hypervolume_{name}", value, 0, now))
        length = min(len(curve) for curve in outcome.curves)
        mean = np.mean([running_best(curve[:length]) for curve in outcome.curves], axis=0)
        for step in range(1, length + 1):
            if (on_candidate_grid(step) or step == length) and np.isfinite(mean[step - 1]):
                points.append(Point(f"comparison/{outcome.searcher}/best_so_far_mean", float(mean[step - 1]), step, now))
    return points


def _named(interval: Interval, seeds: int) -> list[tuple[str, float]]:
    """Return a mean with the bounds of its interval; one seed has no interval."""
    bounds = [("low", interval.low), ("high", interval.high)] if seeds > 1 else []
    return [("mean", interval.value), *bounds]


def _at_equal_cost(comparison: Comparison, now: int) -> list[Point]:
    points = [Point("comparison/equal_cost_seconds", comparison.cost, 0, now)]
    for row in comparison.at_cost():
        figures = {"candidates": row.candidates, "own_seconds": row.own}
        for name, interval in (("score", row.best), ("test_accuracy", row.test)):
            if interval is not None:
                seeds = len(comparison.outcomes[0].results)
                figures |= {f"{name}_{bound}": value for bound, value in _named(interval, seeds)}
        points += [Point(f"comparison/{row.searcher}/equal_cost_{name}", value, 0, now) for name, value in figures.items()]
    return points
