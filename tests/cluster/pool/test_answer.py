"""Answers put together from chunks, in the order of the candidates."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch.cluster.pool.answer import AnswerSheet, PoolError


def test_chunks_in_any_order_give_the_answer() -> None:
    sheet = AnswerSheet(5)
    sheet.write(3, 5, {"score": np.array([3.0, 4.0]), "exits": np.array([[3, 30], [4, 40]])}, version=2)
    sheet.refuse(1, 3, "too large")
    assert sheet.open == 1
    sheet.write(0, 1, {"score": np.array([0.0]), "exits": np.array([[0, 0]])}, version=1)
    answer = sheet.answer()
    np.testing.assert_array_equal(answer.values, [0, np.nan, np.nan, 3, 4])
    np.testing.assert_array_equal(answer.columns["exits"], [[0, 0], [np.nan, np.nan], [np.nan, np.nan], [3, 30], [4, 40]])
    assert answer.versions.tolist() == [1, -1, -1, 2, 2]
    assert answer.errors == {1: "too large", 2: "too large"}
    assert len(answer) == 5
    assert sheet.open == 0


def test_precision_is_kept_and_missing_integers_are_nan() -> None:
    sheet = AnswerSheet(2)
    sheet.write(0, 1, {"score": np.ones(1, dtype=np.float32), "count": np.ones(1, dtype=np.int8)}, version=0)
    sheet.refuse(1, 2, "no")
    answer = sheet.answer()
    assert answer.values.dtype == np.float32
    assert np.isnan(answer.columns["count"][1])


def test_scores_are_nan_where_all_candidates_failed() -> None:
    sheet = AnswerSheet(2)
    sheet.refuse(0, 2, "no")
    assert np.isnan(sheet.answer().values).all()


def test_figures_of_another_shape_are_refused() -> None:
    sheet = AnswerSheet(4)
    sheet.write(0, 2, {"score": np.zeros((2, 3))}, version=0)
    with pytest.raises(PoolError, match="give the same columns"):
        sheet.write(2, 4, {"score": np.zeros((2, 2))}, version=0)
