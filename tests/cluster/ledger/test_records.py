"""Rows of a ledger, looked at in several ways: each equals what a plain loop over the rows gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.cluster.ledger.records import SCHEMA, Records, in_order
from archsearch.evaluators import Evaluation
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def row(
    key: int, run: str = "run", batch: int = 0, position: int = 0, recorded: int = 0, score: float = 0.5, error: str = ""
) -> dict[str, Any]:
    return {
        "space": "nasbench201",
        "key": f"key{key}",
        "evaluator": "abc",
        "fidelity": "full",
        "seed": 0,
        "architecture": str(SPACE.from_genotype([key % 5, 1, 2, 3, 4, 0])),
        "score": score,
        "seconds": 1.5,
        "error": error or None,
        "metrics": [("params", 12.0), ("macs", float(key))],
        "curves": [("valid_accuracy", [0.1, score]), ("empty", [])],
        "run": run,
        "batch": batch,
        "position": position,
        "recorded": recorded,
    }


def records(rows: list[dict[str, Any]]) -> Records:
    return Records(SPACE, in_order(pa.Table.from_pylist(rows, schema=SCHEMA)))


ROWS = st.lists(
    st.builds(
        row,
        key=st.integers(0, 6),
        run=st.sampled_from(["one", "two"]),
        batch=st.integers(0, 2),
        position=st.integers(0, 2),
        recorded=st.integers(0, 8),
        score=st.sampled_from([0.25, 0.75, math.nan]),
        error=st.sampled_from(["", "", "died"]),
    ),
    max_size=20,
)


def by_hand(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The row of each key that counts, by a loop."""
    found: dict[str, dict[str, Any]] = {}
    for one in sorted(rows, key=lambda one: (one["recorded"], one["batch"], one["position"])):
        fine = one["error"] is None and math.isfinite(one["score"])
        before = found.get(one["key"])
        if before is None or (fine and not (before["error"] is None and math.isfinite(before["score"]))):
            found[one["key"]] = one
    return found


def distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows that could not have been recorded: of one key, at the same time, at the same place."""
    return list({(one["key"], *place(one)): one for one in rows}.values())


def place(one: Mapping[str, Any]) -> tuple[int, int, int]:
    return one["recorded"], one["batch"], one["position"]


@settings(deadline=None)
@given(ROWS)
def test_first_success_or_else_the_first_failure_of_each_key_counts(rows: list[dict[str, Any]]) -> None:
    rows = distinct(rows)
    expected = by_hand(rows)
    entries = records(rows).entries()
    found = {entry.evaluation.key: (entry.recorded, entry.batch, entry.position) for entry in entries}
    assert found == {key: place(one) for key, one in expected.items()}
    assert list(found.values()) == sorted(found.values()), "in the order of recording"
    evaluations = records(rows).evaluations()
    assert set(evaluations) == set(expected) and len(evaluations) == len(expected)
    assert repr([evaluations[entry.evaluation.key] for entry in entries]) == repr([entry.evaluation for entry in entries])


@settings(deadline=None)
@given(ROWS)
def test_known_is_what_this_run_recorded_and_what_succeeded_in_any(rows: list[dict[str, Any]]) -> None:
    rows = distinct(rows)
    own = by_hand([one for one in rows if one["run"] == "one"])
    fine = {key: one for key, one in by_hand(rows).items() if one["error"] is None and math.isfinite(one["score"])}
    known = records(rows).known("one")
    assert set(known) == set(fine) | set(own)
    for key, one in {**fine, **own}.items():
        missing = None if math.isfinite(one["score"]) else "score: expected a finite number; got nan"
        assert repr(known[key].score) == repr(one["score"]) and known[key].error == (one["error"] or missing)
    assert "key7" not in known


@settings(deadline=None)
@given(ROWS, st.sampled_from(["one", "two", "three"]), st.sampled_from([None, 0, 1, 5]))
def test_rows_of_a_run_and_a_batch(rows: list[dict[str, Any]], run: str, batch: int | None) -> None:
    rows = distinct(rows)
    wanted = [one for one in rows if one["run"] == run and batch in (None, one["batch"])]
    found = records(rows).of(run, batch).table
    assert repr(found.to_pylist()) == repr(in_order(pa.Table.from_pylist(wanted, schema=SCHEMA)).to_pylist())


def test_rows_that_are_there_twice_count_once() -> None:
    rows = [row(1, recorded=1), row(2, recorded=1), row(1, recorded=2), row(1, position=1, recorded=1)]
    assert records(rows + rows[::-1]).table.num_rows == 4
    assert records(rows).table.num_rows == 4


def test_evaluation_is_put_together_from_its_row() -> None:
    expected = Evaluation(
        SPACE.from_genotype([3, 1, 2, 3, 4, 0]), "key3", 0.75, {"params": 12.0, "macs": 3.0}, 1.5, None,
        {"valid_accuracy": (0.1, 0.75), "empty": ()},
    )  # fmt: skip
    found = records([row(2), row(3, score=0.75)])
    assert found.entries()[1].evaluation == found.evaluations()["key3"] == found.known("another")["key3"] == expected
    with pytest.raises(KeyError):
        found.evaluations()["key9"]


def test_nothing_recorded() -> None:
    empty = records([])
    assert empty.entries() == [] and dict(empty.known("run")) == {} == dict(empty.of("run").evaluations())
