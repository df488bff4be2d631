"""The live line of a search."""

from __future__ import annotations

import io
import pickle

import numpy as np

from archsearch import spaces
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


def test_a_pickled_copy_is_silent() -> None:
    progress = Progress(2, True, stream := io.StringIO())
    copy = pickle.loads(pickle.dumps(progress))
    copy.show(last=True)
    assert (copy.total, stream.getvalue()) == (2, "")
