"""A candidate step by step in a process: from its checkpoint, through deaths, failures and bad checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch.cluster.trials.step_trial import CHECKPOINTS, StepTask, StepWorker
from archsearch.errors import DatasetError
from archsearch.evaluators import TrainingEvaluator
from archsearch.spaces import Architecture, SearchSpace


@pytest.fixture
def text(architectures: list[Architecture]) -> str:
    return str(architectures[0])


def config(text: str, reported: int = 0, segment: int = 1, number: int = 0, **more: Any) -> dict[str, Any]:
    return {"batch": number, "candidates": [text], "reported": reported, "segment": segment, **more}


def task(evaluator: Any, folder: Path, milestones: list[int] | None = None) -> StepTask:
    return StepTask(evaluator, str(folder / "ledger"), "run", milestones, 1.0)


def test_reports_at_milestones(make_steps: Callable[..., Any], text: str, tmp_path: Path) -> None:
    evaluator = make_steps()
    made = task(evaluator, tmp_path, [1, 3])
    worker, suggestion = StepWorker(made), config(text, metrics=["half"])
    reports = [worker.advance(suggestion) for _ in range(3)]
    assert [report["fidelity"] for report in reports] == [1, 3, 9]
    assert [report["fidelities"] for report in reports] == [[1], [3], [None]]
    assert [report["done"] for report in reports] == [False, False, True]
    assert [report["score"] for report in reports] == [evaluator.score(evaluator.space.parse(text), each) for each in (1, 3, 9)]
    assert reports[1]["metrics"] == [[reports[1]["score"] / 2]]
    assert evaluator.noted() == [(text, number) for number in range(1, 10)]
    [entry] = made.ledger().entries("run")
    assert entry.evaluation == reports[2]["evaluation"]
    assert made.store().load(entry.evaluation.key) is None, "a complete one needs no checkpoint"


def test_steps_that_lead_to_chosen_fidelities(make_steps: Callable[..., Any], tmp_path: Path) -> None:
    class Sparse(type(make_steps())):  # type: ignore[misc]
        fidelities = (2, 4, 9)

    evaluator = Sparse(make_steps().space, tmp_path / "steps.txt")
    assert task(evaluator, tmp_path).reports == (2, 4, 9)
    assert task(evaluator, tmp_path, [1, 3]).reports == (2, 4, 9)
    assert task(evaluator, tmp_path, [3]).reports == (4, 9)
    assert task(make_steps(), tmp_path, [3]).reports == (3, 9)


@pytest.mark.parametrize("same_process", [True, False])
def test_goes_on_where_it_paused(
    make_steps: Callable[..., Any], architectures: list[Architecture], tmp_path: Path, same_process: bool
) -> None:
    evaluator = make_steps()
    made = task(evaluator, tmp_path, [1, 3])
    first, second = str(architectures[0]), str(architectures[1])
    worker = StepWorker(made)
    worker.advance(config(first))
    if not same_process:
        worker.advance(config(second, number=1))
        worker = StepWorker(made)
    report = worker.advance(config(first, reported=1, segment=2))
    assert report["fidelity"] == 3
    assert [number for text, number in evaluator.noted() if text == first] == [1, 2, 3]
    assert report["evaluation"].curves["step_score"] == tuple(
        evaluator.score(architectures[0], number) for number in (1, 2, 3)
    ), "the scores before the pause are there"


@pytest.mark.parametrize("what", ["missing", "corrupt", "foreign", "of another program"])
def test_bad_checkpoint(
    make_steps: Callable[..., Any], text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    evaluator = make_steps()
    made = task(evaluator, tmp_path, [3])
    StepWorker(made).advance(config(text))
    store, key = made.store(), evaluator.space.key(evaluator.space.parse(text))
    [path] = Path(store.folder).rglob("*.pt")
    if what == "missing":
        path.unlink()
    elif what == "corrupt":
        path.write_bytes(path.read_bytes()[:-9])
    elif what == "foreign":
        path.unlink()
        store.save("another", 3, {"steps": {}}, 0.5)
        next(Path(store.folder).rglob("*.pt")).rename(path)
    else:
        store.save(key, 3, {"steps": {"weights": [1.0]}}, 0.5)
    report = StepWorker(made).advance(config(text, reported=3, segment=2))
    assert report["fidelity"] == 9
    assert [number for _, number in evaluator.noted()] == [1, 2, 3, *range(1, 10)], "all its steps are paid again"
    assert "paid again" in caplog.text


def test_checkpoint_that_cannot_be_written(
    make_steps: Callable[..., Any], text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluator = make_steps()
    made = task(evaluator, tmp_path, [3])
    made.ledger()
    (tmp_path / "ledger" / CHECKPOINTS).write_text("a file where a folder is needed")
    worker = StepWorker(made)
    assert [worker.advance(config(text))["fidelity"] for _ in range(2)] == [3, 9], "it goes on without"
    assert "without a checkpoint" in caplog.text
    assert len(evaluator.noted()) == 9


def test_death_costs_one_step(make_steps: Callable[..., Any], text: str, tmp_path: Path) -> None:
    evaluator = make_steps(raises=(text, 5))
    made = task(evaluator, tmp_path, [9])
    worker = StepWorker(made)
    # As a kill in the fifth step: the steps before have checkpoints, and nothing was reported.
    worker._record = _dies  # type: ignore[assignment]
    with pytest.raises(SystemError):
        worker.advance(config(text))
    evaluator = make_steps()
    report = StepWorker(task(evaluator, tmp_path, [9])).advance(config(text))
    assert report["done"] and report["evaluation"].ok
    assert [number for _, number in evaluator.noted()] == list(range(1, 10))


def _dies(*arguments: Any) -> Any:
    raise SystemError("killed")


@pytest.mark.parametrize("lost_node", [False, True])
def test_step_that_kills_twice_fails_the_candidate(
    make_steps: Callable[..., Any], text: str, tmp_path: Path, lost_node: bool
) -> None:
    for _ in range(2):
        worker = StepWorker(task(make_steps(raises=(text, 3)), tmp_path))
        worker._record = _dies  # type: ignore[assignment]
        with pytest.raises(SystemError):
            while True:
                worker.advance(config(text, node_lost=lost_node))
    evaluator = make_steps()
    worker = StepWorker(task(evaluator, tmp_path))
    reports = [worker.advance(config(text, node_lost=lost_node))]
    while not reports[-1]["done"]:
        reports.append(worker.advance(config(text)))
    last = reports[-1]["evaluation"]
    assert last.ok == lost_node
    if not lost_node:
        assert "killed its process 2 times" in last.error
        assert [entry.evaluation.error for entry in task(evaluator, tmp_path).ledger().entries("run")] == [last.error]


def test_report_that_was_lost_is_made_again_from_the_ledger(make_steps: Callable[..., Any], text: str, tmp_path: Path) -> None:
    evaluator = make_steps()
    made = task(evaluator, tmp_path, [])
    first = StepWorker(made).advance(config(text))
    again = StepWorker(made).advance(config(text))
    assert again["evaluation"] == first["evaluation"] and again["fidelity"] == 9
    assert len(evaluator.noted()) == 9


@pytest.mark.parametrize("what", ["nan", "raises"])
def test_failed_step(make_steps: Callable[..., Any], text: str, tmp_path: Path, what: str) -> None:
    evaluator = make_steps(**{what: (text, 5)})
    made = task(evaluator, tmp_path, [3])
    worker = StepWorker(made)
    reports = [worker.advance(config(text)) for _ in range(2)]
    assert [report["done"] for report in reports] == [False, True]
    expected = {"nan": "score: expected a finite number", "raises": "ValueError: a layer is too large"}[what]
    assert expected in reports[1]["evaluation"].error
    [entry] = made.ledger().entries("run")
    assert expected in str(entry.evaluation.error) and entry.evaluation.fidelity is None
    assert made.store().load(entry.evaluation.key) is None


def test_error_that_all_candidates_would_meet(make_steps: Callable[..., Any], text: str, tmp_path: Path) -> None:
    made = task(make_steps(breaks=(text, 2)), tmp_path)
    worker = StepWorker(made)
    worker.advance(config(text))
    with pytest.raises(DatasetError, match="the disk with the images has gone"):
        worker.advance(config(text))
    assert made.ledger().entries("run") == [], "nothing is recorded as failed for it"


@pytest.mark.slow
def test_training_goes_on_bit_equal(space: SearchSpace, tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(space, "digits", epochs=3, scale={"channels": 2, "cells_per_stage": 1}, report_test=True)
    architecture = space.sample(np.random.default_rng(4))
    text, made = str(architecture), task(evaluator, tmp_path, [1, 2])
    for reported in (0, 1):
        report = StepWorker(made).advance(config(text, reported=reported, segment=reported))
        assert report["fidelity"] == reported + 1
        assert "test_accuracy" in report["evaluation"].metrics, "it may be its last report"
    report = StepWorker(made).advance(config(text, reported=2, segment=2))
    [straight] = evaluator.evaluate([architecture])
    found = report["evaluation"]
    assert (found.score, found.metrics, found.curves["step_score"]) == (
        *(straight.score, straight.metrics),
        straight.curves["step_score"],
    )
