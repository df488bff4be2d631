from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from archsearch.platform.summary import flat


def test_settings_become_dotted_names() -> None:
    settings = {"a": {"b": 1, "c": {"d": None}}, "e": "text", "f": [1, "2"], "g": {}}
    assert dict(flat(settings)) == {"a.b": "1", "a.c.d": "null", "e": "text", "f": '[1, "2"]', "g": "{}"}


def test_missing_columns_are_unknown(make_summary: Any) -> None:
    assert np.isnan(make_summary([0.5, 0.6]).column("macs")).all()


def test_a_score_with_an_error_does_not_count(make_summary: Any) -> None:
    np.testing.assert_array_equal(make_summary([0.5, 0.6], [None, "lost"]).scores, [0.5, np.nan])


def test_the_score_is_named_for_people(make_summary: Any) -> None:
    assert make_summary([0.5]).score_label == "validation accuracy (%)"
    assert make_summary([0.5], percent=False).score_label == "score"


def test_only_scores_of_the_highest_fidelity_compare(make_summary: Any) -> None:
    reached = pa.array([3, 9, 9, None], pa.int64())
    summary = make_summary([0.9, 0.5, 0.7, np.nan], [None, None, None, "lost"], columns={"fidelity": reached})
    np.testing.assert_array_equal(summary.scores, [0.9, 0.5, 0.7, np.nan])
    np.testing.assert_array_equal(summary.final_scores, [np.nan, 0.5, 0.7, np.nan])
    np.testing.assert_array_equal(make_summary([0.5, np.nan]).final_scores, [0.5, np.nan])


def test_errors_and_r2_are_named_for_people(make_summary: Any) -> None:
    error = replace(make_summary([-2.5], percent=False), score_name="valid_mae", lower_is_better=True)
    assert (error.score_label, error.loss, error.shown(-2.5)) == ("negative validation MAE", "validation MAE", "2.5")
    aims = replace(error, settings={**error.settings, "objectives": ["-mae", "-macs"]}).objectives
    assert [str(aim) for aim in aims] == ["score", "-macs"], "the score is the negative error"
    assert replace(error, score_name="valid_r2", lower_is_better=False).score_label == "validation R2"
