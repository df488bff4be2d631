"""The figure of learning curves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from archsearch.platform.early_stopping import EarlyStopping, LearningCurve
from archsearch.platform.report.learning_curves import learning_curve_figure


def curve(key: str, *scores: float, complete: bool = False) -> LearningCurve:
    return LearningCurve(key, tuple(range(1, len(scores) + 1)), scores, (1.0,) * len(scores), complete)


def test_stopped_candidates_are_grey_and_the_best_stands_out(make_summary: Any) -> None:
    summary = make_summary([0.6, 0.9, 0.7], columns={"fidelity": pa.array([2, None, None], pa.int64())})
    early = EarlyStopping.of("asha", "epochs", 3, summary.evaluations)
    # The stopped one had the highest score of all, but after fewer epochs.
    early = replace(
        early, curves=[curve("a", 0.5, 0.99), curve("b", 0.4, 0.5, 0.9, complete=True), curve("c", 0.3, 0.6, 0.7, complete=True)]
    )
    figure = learning_curve_figure(summary, early)
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["stopped early (1)"].get_color() == "#b5b5b5" and "complete (2)" in lines
    assert lines["the best"].get_ydata()[-1] == 90.0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epochs", "validation accuracy (%)")
