"""Reasons of failures by kind."""

from __future__ import annotations

from archsearch.platform.failure_reasons import FailureReasons


def test_reasons_that_differ_in_numbers_are_one_kind() -> None:
    reasons = FailureReasons()
    for error in ("no file", "out of memory: 12 bytes", "out of memory: 4096 bytes\nmore", None, "  \n", ""):
        reasons.add(error)
    assert reasons.counted() == [("no score (not a finite number)", 3), ("out of memory: 12 bytes", 2), ("no file", 1)]
