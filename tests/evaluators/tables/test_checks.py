"""Checks of a table before it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError, TableError
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")
MakeDraft = Callable[..., TableDraft]


def test_rows_in_order_keep_their_types(make_draft: MakeDraft, cells: list[Architecture]) -> None:
    draft = make_draft(
        [0.5, 0.6, 0.7],
        seconds=[1, 2, 3],
        loss=pa.array([1.5, None, 3.5], pa.float32()),
        half=pa.array(np.array([1, 2, 3], np.float16)),
        params=pa.array([10, 20, 30], pa.int32()),
        epochs=pa.array([1, None, 3], pa.int64()),
    )
    checked = check(draft, SPACE)
    assert checked.texts == [str(cell) for cell in cells[:3]]
    assert checked.keys == [SPACE.key(cell) for cell in cells[:3]]
    assert {name: str(values.dtype) for name, values in checked.columns.items()} == {
        **{"valid_accuracy": "float64", "loss": "float32", "half": "float32", "params": "int32", "epochs": "float64"},
        "seconds": "int64",
    }
    np.testing.assert_array_equal(checked.columns["loss"], np.array([1.5, np.nan, 3.5], np.float32))
    assert checked.columns["seconds"].tolist() == [1, 2, 3]
    assert checked.notes == ()


def test_texts_are_written_as_the_space_writes_them() -> None:
    text = "[[0, 1, 1], [0, 0, 1], [0, 0, 0]] ['input', 'conv3x3-bn-relu', 'output']"
    rows = pa.table({"architecture": [text], "valid_accuracy": [0.9]})
    space = spaces.get("nasbench101")
    checked = check(TableDraft("nasbench101", rows, "valid_accuracy", "made up"), space)
    assert checked.texts == ["[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]"]
    assert checked.keys == [space.key(space.parse(text))]


def test_texts_may_come_as_a_dictionary(make_draft: MakeDraft) -> None:
    draft = make_draft([0.5, 0.6])
    texts = draft.rows["architecture"].dictionary_encode()
    encoded = replace(draft, rows=draft.rows.set_column(0, "architecture", texts))
    assert check(encoded, SPACE).texts == draft.rows["architecture"].to_pylist()


def test_columns_that_are_no_metrics_are_left_out_with_a_note(make_draft: MakeDraft) -> None:
    draft = make_draft([0.5, 0.6], device=["a", "b"], key=[1, 2], params=[3, 4], ops=[[1], [2]])
    checked = check(draft, SPACE)
    assert list(checked.columns) == ["valid_accuracy", "params"]
    assert checked.notes == ("Columns that are no metrics were left out: device (string), key (int64), ops (list<item: int64>).",)


# Architectures


def test_foreign_architectures_are_counted_and_the_first_is_shown(make_draft: MakeDraft, cells: list[Architecture]) -> None:
    texts = [str(cells[0]), "a cell of another kind", str(cells[2]), None]
    expected = (
        r"table: 2 of 4 architectures do not belong to nasbench201; the first is row 1: a cell of another kind "
        r"\(text: expected a NAS-Bench-201 cell .*\) Check --space and --architecture."
    )
    with pytest.raises(TableError, match=expected):
        check(make_draft([0.1, 0.2, 0.3, 0.4], texts), SPACE)


def test_repeated_rows_are_counted_and_the_first_is_shown(make_draft: MakeDraft, cells: list[Architecture]) -> None:
    texts = [str(cells[place]) for place in (2, 0, 3, 0, 0)]
    expected = (
        f"table: 2 of 5 rows repeat an architecture; the first is row 3, which is that of row 1: {re.escape(texts[1])}. Leave"
    )
    with pytest.raises(TableError, match=expected):
        check(make_draft([0.1, 0.2, 0.3, 0.4, 0.5], texts), SPACE)


def test_one_architecture_in_two_spellings_is_a_repetition() -> None:
    rows = pa.table(
        {
            "architecture": [
                "[[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]] [input,conv3x3-bn-relu,maxpool3x3,output]",
                "[[0,1,1,0],[0,0,0,1],[0,0,0,1],[0,0,0,0]] [input,maxpool3x3,conv3x3-bn-relu,output]",
            ],
            "valid_accuracy": [0.9, 0.9],
        }
    )
    with pytest.raises(TableError, match="1 of 2 rows repeat an architecture; the first is row 1, which is that of row 0"):
        check(TableDraft("nasbench101", rows, "valid_accuracy", "made up"), spaces.get("nasbench101"))


def test_texts_of_one_structure_are_no_repetition(make_draft: MakeDraft) -> None:
    checked = check(make_draft([0.5, 0.6]), SPACE)
    assert (len(set(checked.texts)), len(set(checked.keys))) == (2, 1)


def test_a_table_of_another_space_is_refused(make_draft: MakeDraft) -> None:
    with pytest.raises(ConfigurationError, match="space: the table is of nasbench201; got enas. Use space='nasbench201'"):
        check(make_draft([0.5]), spaces.get("enas"))


def test_architectures_that_are_not_strings_are_refused(make_draft: MakeDraft) -> None:
    draft = make_draft([0.5, 0.6])
    numbers = replace(draft, rows=draft.rows.set_column(0, "architecture", pa.array([1, 2])))
    with pytest.raises(TableError, match="architecture: expected a column of strings; got int64. Choose another"):
        check(numbers, SPACE)
    with pytest.raises(TableError, match="expected a column 'architecture'; it has valid_accuracy"):
        check(replace(draft, rows=draft.rows.drop_columns(["architecture"])), SPACE)


def test_progress_is_reported(make_draft: MakeDraft) -> None:
    every = [str(SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)])) for place in range(5**6)]
    reports: list[tuple[int, int]] = []
    check(make_draft([0.5] * len(every), every), SPACE, progress=lambda done, total: reports.append((done, total)))
    assert len(reports) >= 2
    assert reports == sorted(reports)
    assert all(0 < done <= total == len(every) for done, total in reports)


# Scores


@pytest.mark.parametrize("hole", [None, math.nan, math.inf])
def test_missing_scores_are_counted_and_the_first_is_shown(
    hole: float | None, make_draft: MakeDraft, cells: list[Architecture]
) -> None:
    draft = make_draft([0.5, hole, 0.7, hole], params=[1, 2, 3, 4])
    expected = (
        r"score: 2 of 4 rows have no 'valid_accuracy' \(empty, NaN or infinite\); the first is row 1: "
        f"{re.escape(str(cells[1]))}. Leave them out with --drop-missing"
    )
    with pytest.raises(TableError, match=expected):
        check(draft, SPACE)
    checked = check(draft, SPACE, drop_missing=True)
    assert checked.texts == [str(cells[0]), str(cells[2])]
    assert checked.columns["params"].tolist() == [1, 3]
    assert checked.notes == ("2 rows without valid_accuracy were left out.",)


def test_rows_are_counted_as_in_the_source_where_some_are_left_out(make_draft: MakeDraft, cells: list[Architecture]) -> None:
    draft = make_draft([None, 0.5, 0.6], [str(cells[0]), str(cells[1]), "no cell"])
    with pytest.raises(TableError, match="1 of 2 architectures do not belong to nasbench201; the first is row 2: no cell"):
        check(draft, SPACE, drop_missing=True)


def test_other_columns_may_have_gaps(make_draft: MakeDraft) -> None:
    checked = check(make_draft([0.5, 0.6], latency=[None, math.nan]), SPACE)
    assert np.isnan(checked.columns["latency"]).all()


@pytest.mark.parametrize("scores", [[None, None], [math.nan, math.inf]])
def test_a_column_without_a_number_is_refused(scores: list[float | None], make_draft: MakeDraft) -> None:
    with pytest.raises(TableError, match="score: the column 'valid_accuracy' holds no number; choose another column"):
        check(make_draft(scores), SPACE, drop_missing=True)


def test_a_table_without_rows_is_refused(make_draft: MakeDraft) -> None:
    with pytest.raises(TableError, match="table: expected one row or more; it has none"):
        check(make_draft([]), SPACE)


@pytest.mark.parametrize("score", ["valid_acuracy", "seconds", "device", "architecture"])
def test_a_score_that_is_no_metric_is_refused(score: str, make_draft: MakeDraft) -> None:
    draft = make_draft([0.5, 0.6], score=score, seconds=[1.0, 2.0], device=["a", "b"])
    with pytest.raises(TableError, match=f"score: column of the table: expected one of valid_accuracy; got '{score}'"):
        check(draft, SPACE)


# Percent and seconds


def test_percent_become_fractions(make_draft: MakeDraft) -> None:
    columns: dict[str, Any] = {
        "test_accuracy": pa.array([10.0, 94.5], pa.float32()),
        "top1": [50, 75],
        "valid_loss": [1.5, 50.0],
        "train_accuracy": [0.5, 0.6],
    }
    checked = check(make_draft([40.0, 60.0], **columns), SPACE)
    assert checked.percent == ("valid_accuracy", "test_accuracy", "top1")
    assert checked.columns["valid_accuracy"].tolist() == [0.4, 0.6]
    assert checked.columns["test_accuracy"].dtype == np.float32
    np.testing.assert_allclose(checked.columns["test_accuracy"], [0.1, 0.945], rtol=1e-7)
    assert checked.columns["top1"].tolist() == [0.5, 0.75]
    assert checked.columns["valid_loss"].tolist() == [1.5, 50.0]
    assert checked.columns["train_accuracy"].tolist() == [0.5, 0.6]
    assert checked.notes == ("Percent were converted to fractions: valid_accuracy, test_accuracy, top1.",)


def test_which_columns_are_in_percent_can_be_said(make_draft: MakeDraft) -> None:
    draft = make_draft([40.0, 60.0], share=[20.0, 30.0])
    checked = check(draft, SPACE, percent=["share"])
    assert checked.columns["valid_accuracy"].tolist() == [40.0, 60.0]
    assert checked.columns["share"].tolist() == [0.2, 0.3]
    assert check(draft, SPACE, percent=[]).percent == ()
    with pytest.raises(TableError, match=r"percent: column of the table: .*got 'shares'. Did you mean 'share'\?"):
        check(draft, SPACE, percent=["shares"])


def test_rows_without_seconds_are_noted(make_draft: MakeDraft) -> None:
    checked = check(make_draft([0.5, 0.6, 0.7], seconds=[1.0, None, math.nan]), SPACE)
    assert checked.notes == ("2 rows have no seconds; their evaluations cost nothing.",)


@pytest.mark.parametrize("seconds", [-1.0, math.inf])
def test_seconds_that_are_no_times_are_refused(seconds: float, make_draft: MakeDraft) -> None:
    with pytest.raises(TableError, match=f"seconds: expected times of 0 or more; got {seconds} in row 1"):
        check(make_draft([0.5, 0.6], seconds=[1.0, seconds]), SPACE)
