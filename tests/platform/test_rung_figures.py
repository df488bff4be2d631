"""The figures of rungs."""

from __future__ import annotations

import math

import pytest

from archsearch.cluster.schedulers.replay import Curve
from archsearch.platform.rung_figures import rung_figures, rung_table


def curve(*scores: float, complete: bool = False) -> Curve:
    return Curve(scores, tuple(float(second) for second in range(1, len(scores) + 1)), complete)


CURVES = [
    curve(0.1),
    curve(0.2),
    curve(0.5, 0.6, 0.7),
    curve(0.6, 0.7, 0.75),
    curve(0.7, 0.8, 0.9, 0.95, complete=True),
]


def test_each_rung_has_its_candidates_its_seconds_and_its_rank_correlation() -> None:
    first, second, last = rung_figures(CURVES)
    assert (first.fidelity, first.candidates, first.ended, first.seconds) == (1, 5, 2, 5.0)
    assert (first.best, first.tau, first.compared) == (0.7, pytest.approx(1.0), 3)
    assert (second.fidelity, second.candidates, second.ended, second.seconds) == (3, 3, 2, 3 * (2.0 + 3.0))
    assert math.isnan(second.tau), "one candidate went on"
    assert (last.fidelity, last.candidates, last.ended, last.seconds, last.best) == (4, 1, 1, 4.0, 0.95)
    assert sum(rung.seconds for rung in rung_figures(CURVES)) == sum(sum(each.seconds) for each in CURVES)
    heading, *rows = rung_table(rung_figures(CURVES), "epochs", "validation accuracy (%)", True)
    assert heading[0] == "epochs" and rows[0] == ["1", "5", "2", "5 s", "70.00", "1.00 of 3"]
    assert [row[-1] for row in rows[1:]] == ["-", "-"]


def test_a_scheduler_that_stops_anywhere_has_a_bounded_number_of_rungs() -> None:
    found = rung_figures([curve(*[0.1] * length) for length in range(1, 40)], most=5)
    assert len(found) == 5 and found[-1].fidelity == 39
    assert sum(rung.seconds for rung in found) == sum(sum(range(1, length + 1)) for length in range(1, 40))
    assert rung_figures([]) == []
