"""Saved view of an MLflow experiment: charts that compare searches, in the format of MLflow's web page."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.platform.summary import SearchSummary
from archsearch.platform.tracking.curves import ANYTIME_ACCURACY, BEST_BY_SECONDS, BEST_SCORE, EXITS_ACCURACY

VIEW, VIEW_NAME = "archsearch", "Searches side by side"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Experiment tag in which MLflow 3 stores the view."""

_SECTION = "archsearch"
_COLUMNS = (
    *("metrics.`best_score`", "metrics.`best_test_accuracy`", "metrics.`best_macs`", "metrics.`best_params`"),
    *("metrics.`num_candidates`", "tags.`searcher`", "tags.`seed`", "tags.`study`"),
)

Range = tuple[float, float]


def view_address(experiment_id: str) -> str:
    """Return the URL of the saved view, relative to the server's."""
    return f"#/experiments/{experiment_id}/runs?compareRunsMode=CHART&workflowType=machine_learning&viewStateShareKey={VIEW}"


def study_tag(study: str) -> str:
    """Return the experiment tag in which the view of one study is stored."""
    return f"{VIEW_TAG}-{_key(study)}"


def study_address(experiment_id: str, study: str) -> str:
    """Return the URL of the view of one study, relative to the server's.

    Args:
        experiment_id: Id of the experiment.
        study: Value of the tag `study`.
    """
    return f"{view_address(experiment_id)}-{_key(study)}"


def _key(study: str) -> str:
    """Return a word for a study that suits a URL and the name of a tag."""
    return hashlib.blake2b(study.encode(), digest_size=5).hexdigest()


def budget_range(summary: SearchSummary) -> Range | None:
    """Return the decades, in thousands of MACs, that contain the networks of a search; None if no cost is known.

    By default MLflow's charts would show the whole shared grid of budgets, where most of the curve is flat.
    """
    macs = summary.column("macs")
    known = macs[np.isfinite(macs) & (macs > 0.0)] / 1000.0
    exits = [budget / 1000.0 for budget in summary.exits.budgets] if summary.exits else []
    if not len(known):
        return None
    low, high = min([float(known.min()), *exits]), float(known.max())
    first = 10.0 ** math.floor(math.log10(low))
    return first, max(10.0 ** math.ceil(math.log10(high)), 10.0 * first)


def score_range(scores: NDArray[np.float64], highest: float = math.inf) -> Range | None:
    """Return the range of the better half of scores, with room above for later searches; None without two different scores.

    By default MLflow's charts begin at zero, where the curves of searches cannot be told apart.

    Args:
        scores: Scores `[candidates]`, NaN where there is none.
        highest: Upper bound of the score.
    """
    known = scores[np.isfinite(scores)]
    if len(known) == 0 or known.min() == known.max():
        return None
    low, high = float(np.median(known)), float(known.max())
    low = low if low < high else float(known.min())
    return low, min(highest, high + 0.5 * (high - low))


def view_of(summary: SearchSummary, created: int, study: str | None = None) -> str:
    """Return the saved view with axis ranges that suit a search.

    Args:
        summary: The search.
        created: Milliseconds since 1970.
        study: A study whose searches alone are shown; None shows all.
    """
    highest = 1.0 if summary.percent else math.inf
    accuracies = score_range(summary.accuracies, 1.0) if summary.percent else None
    return saved_view(budget_range(summary), score_range(summary.final_scores, highest), accuracies, created, study)


def saved_view(
    budgets: Range | None, scores: Range | None, accuracies: Range | None, created: int, study: str | None = None
) -> str:
    """Return the value of the tag `VIEW_TAG`.

    It shows the runs of searches, grouped by study and searcher, so that searches of other sizes are not averaged with them: best
    score against candidates and against seconds, accuracy against budget, all on logarithmic x axes; then the best scores, the
    areas under the anytime curves, and the cost of the best.

    Args:
        budgets: Range of budgets, thousands of MACs; None shows all.
        scores: Range of scores; None takes MLflow's default.
        accuracies: Range of accuracies; None takes MLflow's default.
        created: Milliseconds since 1970.
        study: A study whose searches alone are shown; None shows all.
    """
    state = {
        "searchFilter": 'tags.kind = "search"' + (f" and tags.study = {_quoted(study)}" if study else ""),
        "orderByKey": "metrics.`best_score`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(_COLUMNS),
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": _charts(budgets, scores, accuracies),
        "compareRunSections": [_section()],
        "isAccordionReordered": True,  # else MLflow's own sections come first, in alphabetical order
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": name} for name in ("study", "searcher")],
        },
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()
    return json.dumps({"name": VIEW_NAME, "createdAt": created, "updatedAt": created, "state": f"deflate;{packed}"})


def _quoted(text: str) -> str:
    """Return a string as MLflow's search language writes it; it has no escapes."""
    return f"'{text}'" if '"' in text else f'"{text}"'


def _charts(budgets: Range | None, scores: Range | None, accuracies: Range | None) -> list[dict[str, Any]]:
    return [
        _line(BEST_SCORE, None, scores),
        _line(BEST_BY_SECONDS, None, scores),
        _line(ANYTIME_ACCURACY, budgets, accuracies),
        _line(EXITS_ACCURACY, budgets, accuracies),
        _bar("best_score"),
        _bar("anytime/auc"),
        _card("SCATTER", "best_macs", xaxis=_axis("best_macs"), yaxis=_axis("best_score"), runsCountToCompare=100),
    ]


def _line(metric: str, across: Range | None, up: Range | None) -> dict[str, Any]:
    shown = {"xMin": math.log10(across[0]), "xMax": math.log10(across[1])} if across else {}  # limits of a logarithmic axis
    shown |= {"yMin": up[0], "yMax": up[1]} if up else {}
    axes = {"xAxisKey": "step", "yAxisKey": "metric", "xAxisScaleType": "log", "scaleType": "linear", "range": shown}
    smooth = {"lineSmoothness": 0, "useGlobalXaxisKey": False, "useGlobalLineSmoothing": True, "ignoreOutliers": False}
    more = {"selectedXAxisMetricKey": "", "yAxisExpressions": [], "displayPoints": False}
    return _card("LINE", metric, metricKey=metric, selectedMetricKeys=[metric], **axes, **smooth, **more)


def _bar(metric: str) -> dict[str, Any]:
    return _card("BAR", metric, metricKey=metric, dataAccessKey=metric)


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC", "dataAccessKey": metric}


def _card(kind: str, metric: str, **settings: Any) -> dict[str, Any]:
    known = {"uuid": f"{_SECTION}-{kind}-{metric}", "type": kind, "metricSectionId": _SECTION}
    return {**known, "runsCountToCompare": 20, "deleted": False, "isGenerated": False, **settings}


def _section() -> dict[str, Any]:
    known = {"uuid": _SECTION, "name": VIEW_NAME, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {**known, "columns": 3, "cardHeight": 300}
