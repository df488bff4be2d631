"""Searches whose candidates are scored by a function of the user."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from archsearch import platform
from archsearch.errors import ConfigurationError, RunError

pytestmark = pytest.mark.usefixtures("shared_ray")

MODULE = """
def score(model, context):
    convolutions = str(context.architecture).count("nor_conv_3x3")
    context.report(1, 9.0 - convolutions)
    return {"loss": 8.0 - convolutions, "params": context.cost["params"]}
"""
SETTINGS: dict[str, Any] = {"mode": "min", "steps": 2, "scale": {"channels": 2, "cells_per_stage": 1}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_scores.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "my_scores", sys)  # so that the module of the test is gone after it
    del sys.modules["my_scores"]
    return tmp_path


def search(evaluator: Any, **changes: Any) -> platform.SearchResult:
    given: dict[str, Any] = {"num_candidates": 6, "tracking": "off", "report": False, "progress": False, "workers": 1}
    return platform.run_search("nasbench201", "random", evaluator, **{**given, "evaluator_options": SETTINGS, **changes})


def by_value(model: Any, context: Any) -> dict[str, float]:
    return {"loss": 8.0 - str(context.architecture).count("nor_conv_3x3")}


def test_function_of_a_script_scores_candidates() -> None:
    def inner(model: Any, context: Any) -> dict[str, float]:
        return by_loss(context)

    def by_loss(context: Any) -> dict[str, float]:
        return {"loss": 8.0 - str(context.architecture).count("nor_conv_3x3")}

    result = search(inner)
    counts = [text.count("nor_conv_3x3") for text in result.evaluations["architecture"].to_pylist()]
    assert result.evaluations["score"].to_pylist() == [count - 8.0 for count in counts]
    assert result.evaluations["loss"].to_pylist() == [8.0 - count for count in counts]
    assert result.best.score == max(counts) - 8.0
    assert result.summary.evaluator == "inner (test_function_search.py)"


@pytest.mark.slow
def test_function_of_a_module_is_found_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = search("python:my_scores:score", name="first")
    assert before.summary.evaluator == "python:my_scores:score"
    more = platform.resume_search(folder / "runs" / "first", num_candidates=8, progress=False)
    assert len(more.evaluations) == 8
    assert platform.finished_run(folder / "runs" / "first").best.score == more.best.score
    assert search("python:my_scores:score", name="again").evaluations["reused"].to_pylist() == [True] * 6
    assert "has changed" not in caplog.text
    (folder / "my_scores.py").write_text(MODULE.replace("8.0", "7.5"))
    del sys.modules["my_scores"]
    changed = search("python:my_scores:score", name="changed")
    assert "The source of python:my_scores:score has changed since it last scored candidates" in caplog.text
    assert changed.evaluations["reused"].to_pylist() == [False] * 6
    assert changed.best.score == before.best.score + 0.5
    with pytest.raises(RunError, match="evaluator: the run first was scored by an evaluator of fingerprint"):
        platform.resume_search(folder / "runs" / "first", num_candidates=9, progress=False)


def test_what_cannot_be_pickled_is_said_and_leaves_no_run(folder: Path) -> None:
    lock = threading.Lock()

    def locked(model: Any, context: Any) -> float:
        with lock:
            return 1.0

    with pytest.raises(ConfigurationError, match="because 'lock' of 'function' cannot be pickled: it is a lock"):
        search(locked)
    assert not [path for path in (folder / "runs").iterdir() if path.name != "ledger"]


@pytest.mark.parametrize(
    ("evaluator", "options", "message"),
    [
        (lambda model: 1.0, {}, "evaluator: expected a function of"),
        (by_value, {"step": 3}, "evaluator options: a function has no option 'step'. Did you mean 'steps'"),
        (by_value, {"steps": "three"}, "evaluator options: a function: steps: expected a whole number or None; got 'three'"),
        ("python:my_scores:scor", {}, "evaluator: the module my_scores has no 'scor'. Did you mean 'score'"),
        ("python:my_scores", {}, "evaluator: expected python:MODULE:FUNCTION"),
        ("pyton:my_scores:score", {}, "expected train:DATASET, .* or python:MODULE:FUNCTION; got .* Did you mean 'python'"),
        (dict, {}, "evaluator: expected .* got the class dict"),
        (3, {}, r"evaluator: expected train:DATASET, .* a function of \(model, context\), or an Evaluator; got 3"),
    ],
)
def test_evaluators_that_cannot_be_used(evaluator: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        search(evaluator, evaluator_options=options)
