"""What a search says about its images: before it, and after the first trainings."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from archsearch import spaces
from archsearch.evaluators import Evaluation, Evaluator, TabularEvaluator
from archsearch.platform.announcement import Announcement

SPACE = spaces.get("nasbench201")
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])


class Guessing(Evaluator):
    """An evaluator that finds all scores no better than guessing."""

    task = "coins"

    def settings(self) -> dict[str, str]:
        return {}

    def evaluate(self, architectures: Sequence[object]) -> list[Evaluation]:
        return []

    def facts(self) -> tuple[str, ...]:
        return ("Ten coins for training.", "word " * 30)

    def cautions(self) -> tuple[str, ...]:
        return ("Few coins.",)

    def remark(self, evaluations: Sequence[Evaluation]) -> str:
        return f"All {len(evaluations)} are guesses."


def _rows(count: int, score: float = 0.5) -> list[Evaluation]:
    return [Evaluation(CELL, str(number), score) for number in range(count)]


def test_facts_and_warnings_stand_in_lines_of_a_terminal() -> None:
    stream = io.StringIO()
    Announcement(Guessing(SPACE), stream).begin()
    first, *rest, last = stream.getvalue().splitlines()
    assert (first, last) == ("Ten coins for training.", "Warning: Few coins.")
    assert len(rest) == 2
    assert max(map(len, rest)) <= 110


def test_the_remark_is_made_once_after_three_scores() -> None:
    announcement = Announcement(Guessing(SPACE), io.StringIO())
    assert announcement.remark(_rows(2)) == ""
    assert announcement.remark(_rows(5, score=float("nan"))) == "", "failures have no score"
    assert announcement.remark(_rows(2)) == "Warning: All 4 are guesses."
    assert announcement.remark(_rows(5)) == ""


def test_a_silent_search_and_one_of_a_table_say_nothing() -> None:
    assert Announcement(Guessing(SPACE), None).remark(_rows(5)) == ""
    stream = io.StringIO()
    Announcement(TabularEvaluator.embedded("digits201"), stream).begin()
    assert stream.getvalue() == ""


def test_a_line_that_is_drawn_is_ended_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from archsearch.platform.progress import Progress

    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    progress = Progress(10, True, stream)
    progress.show()
    progress.say("Warning: guesses.")
    progress.say("")
    assert stream.getvalue().endswith("\r\x1b[KWarning: guesses.\n")
