"""The figure of learning curves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from archsearch.cluster.schedulers.replay import Curve
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.report.learning_curves import learning_curve_figure


def curve(*scores: float, complete: bool = True) -> Curve:
    return Curve(scores, (1.0,) * len(scores), complete)


def test_stopped_candidates_are_grey_and_the_best_stands_out(make_summary: Any) -> None:
    summary = make_summary([0.6, 0.9, 0.7], columns={"fidelity": pa.array([2, None, None], pa.int64())})
    early = EarlyStopping.of("asha", "epochs", 3, summary.evaluations)
    # The stopped one had the highest score of all, but after fewer epochs.
    curves = {"a": curve(0.5, 0.99, complete=False), "b": curve(0.4, 0.5, 0.9), "c": curve(0.3, 0.6, 0.7)}
    early = replace(early, curves=curves)
    figure = learning_curve_figure(summary, early)
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["stopped early (1)"].get_color() == "#b5b5b5" and "complete (2)" in lines
    assert lines["the best"].get_ydata()[-1] == 90.0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epochs", "validation accuracy (%)")
