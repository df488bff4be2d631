"""The live line of a search."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from archsearch import spaces
from archsearch.cluster.ledger.rungs import RungEvent
from archsearch.evaluators import Evaluation
from archsearch.platform.progress import Progress
from archsearch.searchers import Observation


def observations(*scores: float, reused: bool = False) -> list[Observation]:
    space = spaces.get("nasbench201")
    architecture = space.sample(np.random.default_rng(0))
    errors = [None if np.isfinite(score) else "it diverged" for score in scores]
    found = [Evaluation(architecture, "key", score, {}, 1.0, error) for score, error in zip(scores, errors, strict=True)]
    return [Observation(0, position, each, reused) for position, each in enumerate(found)]


def test_the_line_counts_outcomes_and_estimates_the_time_left() -> None:
    progress = Progress(10, True, None)
    progress.take(observations(0.5, 0.75, reused=True))
    assert progress.line().startswith("2/10 candidates, best 75.00 %, 2 reused, ")
    assert "left" not in progress.line()
    progress.begin()
    progress.take(observations(0.9, float("nan")))
    line = progress.line()
    assert line.startswith("4/10 candidates, best 90.00 %, 2 reused, 1 failed, ") and line.endswith(" s left")


def test_scores_that_are_no_accuracies_are_no_percentages() -> None:
    progress = Progress(1, False, stream := io.StringIO())
    progress.take(observations(12.3456))
    progress.show(last=True)
    assert stream.getvalue().splitlines()[-1].startswith("1/1 candidates, best 12.35, ")


def test_losses_have_their_own_sign() -> None:
    progress = Progress(4, False, None, lower_is_better=True)
    progress.take(observations(-2.5, -1.25, -3.0))
    assert "best 1.25" in progress.line()
    assert progress.state()["best"] == -1.25


def test_a_pickled_copy_is_silent() -> None:
    progress = Progress(2, True, stream := io.StringIO())
    copy = pickle.loads(pickle.dumps(progress))
    copy.show(last=True)
    assert (copy.total, stream.getvalue()) == (2, "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_the_improvements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("archsearch.platform.live_line.LiveLine._columns", lambda line: 120)
    progress = Progress(4, True, stream := Terminal(), name="gates seed 1")
    progress.begin()
    progress.take(observations(0.5, 0.75))
    progress.take(observations(float("nan"), 0.25))
    progress.show(last=True)
    text = stream.getvalue()
    assert "gates seed 1: candidate 2: best 75.00 %\n" in text
    assert "\r\x1b[Kgates seed 1 100 % ━━━" in text and "4/4  best 75.00 %  1 failed" in text
    assert text.endswith("  1 failed: it diverged\n")


def test_a_log_has_plain_lines_and_names_the_search() -> None:
    progress = Progress(4, True, stream := io.StringIO(), name="gates seed 1")
    progress.take(observations(0.5, float("nan"), float("nan")))
    progress.show(last=True)
    *_, line, reason = stream.getvalue().splitlines()
    assert line.startswith("gates seed 1: 3/4 candidates, best 50.00 %, 2 failed, ") and reason == "  2 failed: it diverged"
    assert "\x1b" not in stream.getvalue() and "━" not in stream.getvalue()


def test_the_state_has_what_another_terminal_shows() -> None:
    progress = Progress(10, True, None)
    progress.begin()
    progress.take(observations(0.5, 0.25, float("nan"), 0.75))
    state = progress.state()
    assert (state["done"], state["failed"], state["best"]) == (4, 1, 0.75)
    assert state["improvements"] == [(1, 0.5), (4, 0.75)] and state["failures"] == [("it diverged", 1)]
    assert state["rate"] > 0 and state["left"] > 0
    json.dumps(state)


def test_only_the_last_improvements_are_kept() -> None:
    progress = Progress(10, True, None)
    progress.take(observations(*(number / 10 for number in range(1, 10))))
    assert [number for number, _ in progress.state()["improvements"]] == [5, 6, 7, 8, 9]


def test_what_a_scheduler_stops_and_pauses_is_counted() -> None:
    progress = Progress(10, True, None, steps=(36, "epochs"))
    for order, (trial, action) in enumerate(
        [(0, "START"), (1, "START"), (2, "START"), (1, "PAUSE"), (0, "STOP"), (2, "CONTINUE")]
    ):
        progress.take_rung(RungEvent(order, trial, "key", "text", 4, 0.5, action))  # type: ignore[arg-type]
    [early] = observations(0.5)
    progress.take([replace(early, evaluation=replace(early.evaluation, fidelity=4))])
    assert progress.line().startswith(
        "1/10 candidates, best 50.00 % after 4 of 36 epochs, 1 stopped early, 1 running, 1 paused, "
    )
    progress.take(observations(0.4))  # complete, so the best although its score is lower
    assert ", best 40.00 %, 1 stopped early, " in progress.line()
    state = progress.state()
    assert (state["stopped_early"], state["paused"], state["best"], state["best_at"]) == (1, 1, 0.4, "")
