from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.ranking import failures, format_ranked, ranked_rows, ranked_table, write_csv

NAN = float("nan")


@given(st.lists(st.one_of(st.just(NAN), st.sampled_from([0.1, 0.5, 0.9])), min_size=1, max_size=12), st.integers(1, 12))
def test_ranking_is_the_stable_order_of_scores(make_ranking: Any, scores: list[float], top: int) -> None:
    expected = sorted((index for index, score in enumerate(scores) if score == score), key=lambda index: -scores[index])
    assert [row.candidate for row in ranked_rows(make_ranking(scores), top)] == expected[:top]


@pytest.fixture(scope="module")
def make_ranking() -> Any:
    def make(scores: list[float]) -> pa.Table:
        size = len(scores)
        names = [f"a{index}" for index in range(size)]
        columns = {"candidate": range(size), "architecture": names, "key": names, "score": scores, "seconds": [1.0] * size}
        return pa.table({**columns, "error": pa.array([None] * size, pa.string()), "reused": [False] * size})

    return make


def test_ranking_names_each_architecture_once_and_no_failed_one(make_summary: Any) -> None:
    summary = make_summary([0.5, 0.7, 0.9], [None, None, "lost"], columns={"key": ["same", "same", "other"]})
    assert [(row.rank, row.candidate) for row in ranked_rows(summary.evaluations, 5)] == [(1, 1)]


def test_the_ranked_table_shows_known_columns_only(make_summary: Any) -> None:
    heading, *rows = ranked_table(make_summary([0.5, 0.25]).evaluations, 10, percent=True)
    assert heading == ["rank", "score %", "time", "architecture"]
    assert [row[:3] for row in rows] == [["1", "50.00", "10 s"], ["2", "25.00", "10 s"]]
    heading, *rows = ranked_table(make_summary([2.5, 1], columns={"macs": [NAN, 1e6]}).evaluations, 1, percent=False)
    assert heading == ["rank", "score", "time", "architecture"]
    assert rows[0][1] == "2.5"


def test_losses_are_shown_with_their_sign_and_name_the_lowest_first(make_summary: Any) -> None:
    summary = make_summary([-2.5, -1.0], percent=False, score_name="cross_entropy", lower_is_better=True)
    heading, *rows = ranked_table(summary.evaluations, 10, summary.percent, loss=summary.loss)
    assert (heading[1], [row[1] for row in rows]) == ("cross entropy", ["1", "2.5"])
    assert "cross entropy" in format_ranked(summary)
    assert (summary.score_label, summary.shown(-2.5)) == ("negative cross entropy", "2.5")


def test_the_terminal_table_is_aligned_and_not_too_wide(make_summary: Any) -> None:
    short = make_summary([0.6, 0.8], columns={"architecture": ["abc", "de"], "macs": [1e5, 2e6]})
    assert format_ranked(short).splitlines() == [
        "rank  score %    MACs  time  architecture",
        "   1    80.00  2.00 M  10 s  de",
        "   2    60.00  0.10 M  10 s  abc",
    ]
    long = make_summary([0.6, 0.8], columns={"architecture": ["x" * 300, "[[0, 1],\n [0, 0]]"]})
    lines = format_ranked(long).splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(line.count("x") for line in lines) == 300
    assert format_ranked(make_summary([NAN], ["broken"])) == "No candidate has a score (1 evaluated)."


def test_failures_that_differ_in_numbers_are_one_reason(make_summary: Any) -> None:
    errors = ["no file", "out of memory: 12 bytes", None, "out of memory: 4096 bytes\nmore", None]
    summary = make_summary([NAN, NAN, 0.5, NAN, NAN], errors)
    assert failures(summary.evaluations) == [
        ("out of memory: 12 bytes", 2),
        ("no file", 1),
        ("no score (not a finite number)", 1),
    ]


def test_accuracies_have_their_standard_error_where_the_images_are_known(make_summary: Any) -> None:
    """sqrt(p (1 - p) / n), in points: with 32 images, 8.37 at 66 % and 0 at 100 %."""
    heading, *rows = ranked_table(make_summary([0.66, 1.0]).evaluations, 10, percent=True, images=32.0)
    assert heading[:3] == ["rank", "score %", "\u00b1 %"]
    assert [row[2] for row in rows] == ["0.00", "8.37"]
    assert "\u00b1 %" in format_ranked(make_summary([0.66], score_images=32.0))
    assert "\u00b1 %" not in format_ranked(make_summary([0.66]))
    assert "\u00b1 %" not in ranked_table(make_summary([2.5], percent=False).evaluations, 10, percent=False, images=32.0)[0]


def test_candidates_that_were_stopped_early_rank_below_and_say_when(make_summary: Any, tmp_path: Path) -> None:
    reached = pa.array([3, None, None], pa.int64())
    summary = make_summary([0.9, 0.5, 0.7], columns={"fidelity": reached})
    early = EarlyStopping.of("asha", "epochs", 9, summary.evaluations)
    heading, *rows = ranked_table(summary.evaluations, 10, percent=True, early=early)
    assert heading == ["rank", "score %", "epochs", "time", "architecture"]
    assert [row[1:3] for row in rows] == [["70.00", "9"], ["50.00", "9"], ["90.00", "3"]]
    write_csv(ranked_rows(summary.evaluations, 10), tmp_path / "top.csv")
    assert (tmp_path / "top.csv").read_text().splitlines()[0].endswith(",seconds,fidelity")
    write_csv(ranked_rows(make_summary([0.5]).evaluations, 10), tmp_path / "top.csv")
    assert (tmp_path / "top.csv").read_text().splitlines()[0].endswith(",seconds")
