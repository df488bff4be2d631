"""What is said of how a search ended."""

from __future__ import annotations

import pytest

from archsearch.platform.ending import Ending

RESUME = "archsearch resume 'runs/my run'"


@pytest.mark.parametrize(
    ("ending", "parts"),
    [
        (
            Ending("time", 2, 6, 1, 29.2, 20.0),
            [
                "The time budget of 20 s ended the search after 29 s: 2 of 6 candidates are evaluated.",
                "Given up:  1 evaluation that had begun or came next.",
                "Go on:     archsearch resume 'runs/my run'   (another 20 s",
            ],
        ),
        (
            Ending("time", 0, 6, 3, 8.0, 3.0),
            ["0 of 6 candidates", "Given up:  3 evaluations", "No evaluation was finished", "'runs/my run' --time-budget none"],
        ),
        (
            Ending("time", 0, 6, 1, 8.0, 3.0, in_hand=2),
            ["In part:   2 candidates were evaluated in part; a resumed search goes on with them.", "(another 3 s"],
        ),
        (Ending("exhausted", 100, 200), ["after 100 of 200 candidates: the space has no more"]),
        (Ending("complete", 5, 5, idle=True), ["Nothing left to do: 5 of 5", "archsearch resume 'runs/my run' --candidates 10"]),
    ],
)
def test_the_end_says_why_and_how_to_go_on(ending: Ending, parts: list[str]) -> None:
    text = ending.text(RESUME)
    for part in parts:
        assert part in text


def test_a_search_that_did_all_needs_no_words() -> None:
    assert Ending("complete", 5, 5).text(RESUME) == Ending("complete", 5, 5).headline() == ""


def test_only_the_time_budget_may_find_nothing() -> None:
    assert [Ending(reason, 0, 6).found_nothing for reason in ("time", "stopped", "failed")] == [True, False, False]
    assert not Ending("time", 1, 6).found_nothing


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Ending("complete", 5, 5), "The search did all it was to do: 5 of 5 candidates are evaluated."),
        (
            Ending("stopped", 2, 6, 3),
            "The search was stopped: 2 of 6 candidates are evaluated. Given up: 3 evaluations that had begun or came next.",
        ),
        (Ending("failed", 0, 6), "An error ended the search: 0 of 6 candidates are evaluated."),
    ],
)
def test_reports_say_every_reason(ending: Ending, text: str) -> None:
    assert ending.sentences() == text
