"""Candidates rank by fidelity, then by score."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from archsearch.platform.rank_order import best_first, fidelities, has_score

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.9, math.nan]), st.sampled_from([None, 1, 3]), st.booleans()), min_size=1, max_size=9
)


def table(rows: list[tuple[float, int | None, bool]]) -> pa.Table:
    scores, reached, failed = zip(*rows, strict=True)
    return pa.table(
        {
            "candidate": range(len(rows)),
            "score": pa.array(scores, pa.float64()),
            "error": pa.array(["lost" if each else None for each in failed], pa.string()),
            "fidelity": pa.array(reached, pa.int64()),
        }
    )


@given(ROWS)
def test_more_steps_come_first_then_the_score_then_the_order_of_proposal(rows: list[tuple[float, int | None, bool]]) -> None:
    fine = [place for place, (score, _, failed) in enumerate(rows) if math.isfinite(score) and not failed]
    expected = sorted(fine, key=lambda place: (-(rows[place][1] or math.inf), -rows[place][0], place))
    assert best_first(table(rows)).tolist() == expected


def test_without_a_scheduler_all_evaluations_are_complete(make_summary: Any) -> None:
    found = make_summary([0.5, 0.7, math.nan], [None, None, "lost"]).evaluations
    assert fidelities(found).tolist() == [math.inf] * 3 and has_score(found).tolist() == [True, True, False]
    assert best_first(found).tolist() == [1, 0]
