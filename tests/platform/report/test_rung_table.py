"""The table of rungs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.report.rung_table import rung_table
from archsearch.searchers.funnel import Rung


def test_each_rung_is_a_row_with_what_it_cost_and_how_well_it_ranked(make_summary: Any) -> None:
    table = make_summary([0.5, 0.7], columns={"fidelity": pa.array([3, None], pa.int64())}).evaluations
    early = EarlyStopping.of("asha", "epochs", 9, table)
    assert rung_table(early) == []
    rungs = [
        Rung(0, 100, 8, 0, 12.0, 8, 0.25),
        Rung(3, 8, 6, 2, 24.0, 6, 0.6),
        Rung(None, 2, 0, 0, 130.0, 0, None),
    ]
    heading, *rows = rung_table(replace(early, rungs=rungs))
    assert heading == ["epochs", "candidates", "went on", "stopped", "time", "ranked the next (tau)"]
    assert rows == [
        ["ranked before", "100", "8", "-", "12 s", "0.25 (8 candidates)"],
        ["3", "8", "6", "2", "24 s", "0.60 (6 candidates)"],
        ["9", "2", "-", "-", "2.2 min", "-"],
    ]
