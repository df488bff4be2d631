"""What a search says about its images: before it, and after the first trainings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archsearch import spaces
from archsearch.evaluators import Evaluation, Evaluator, TabularEvaluator
from archsearch.platform import run_search
from archsearch.platform.announcement import Announcement, facts_once
from archsearch.platform.configuration import SearchConfiguration

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


def test_searches_of_a_comparison_say_what_they_have_in_common_once() -> None:
    stream = io.StringIO()
    with facts_once():
        for _ in range(3):
            Announcement(Guessing(SPACE), stream).begin()
    assert stream.getvalue().count("coins") == 2
    Announcement(Guessing(SPACE), stream).begin()
    assert stream.getvalue().count("coins") == 4


def test_candidates_that_were_stopped_early_prove_nothing() -> None:
    announcement = Announcement(Guessing(SPACE), io.StringIO())
    early = [replace(each, fidelity=1) for each in _rows(3)]
    assert announcement.remark([*early, *_rows(2)]) == ""
    assert announcement.remark([*early, *_rows(1)]) == "Warning: All 3 are guesses."


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


@pytest.mark.slow
def test_a_search_of_skewed_folders_says_what_it_has_and_that_nothing_beats_guessing(
    shared_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 images of one class, 6 of the other, all noise: every candidate always answers OK."""
    rng = np.random.default_rng(0)
    for name, count in (("OK", 200), ("NG", 6)):
        (tmp_path / "parts" / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "parts" / name / f"{number}.png")
    result = run_search(
        "nasbench201",
        "random",
        f"train:imagefolder:{tmp_path / 'parts'}?size=8",
        num_candidates=3,
        storage=tmp_path / "runs",
        tracking="off",
        report=False,
        evaluator_options={"epochs": 1, "learning_rate": 1e-4, "scale": {"channels": 2, "cells_per_stage": 1}},
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "164 for training, 21 for validation, 21 for testing; 2 classes; 3 x 8 x 8" in said
    assert "1 epochs of 10 steps with 16 images each" in said
    assert "always answering OK scores 95.24 %" in said
    assert said.count("Warning: All 3 trainings score") == 1
    assert "the objective balanced_accuracy" in said
    assert result.summary.chance == pytest.approx(20 / 21)
    assert result.summary.score_images == 21.0
    assert result.summary.remark.startswith("All 3 trainings")


def test_balanced_accuracy_among_the_objectives_is_an_option_of_the_training(make_summary: Any) -> None:
    named = SearchConfiguration(objectives=["balanced_accuracy", "-macs"], evaluator_options={"epochs": 3})
    assert named.score_options == {"objective": "balanced_accuracy", "epochs": 3}
    settings = {"objectives": ["balanced_accuracy", "accuracy", "-macs"]}
    summary = make_summary([0.5], score_name="valid_balanced_accuracy", settings=settings)
    assert [str(each) for each in summary.objectives] == ["score", "valid_accuracy", "-macs"]
    assert summary.score_label == "validation balanced accuracy (%)"
