"""The evaluation of a candidate by a function: step by step, from a state, and what goes wrong."""

from __future__ import annotations

import gc
import io
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import FunctionEvaluator
from archsearch.evaluators.function.context import TrainingContext
from archsearch.evaluators.function.steps import FunctionSteps

SPACE = spaces.get("nasbench201")
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])
SCALE = {"channels": 2, "cells_per_stage": 1}


def evaluator(function: Callable[..., Any], **settings: Any) -> FunctionEvaluator:
    return FunctionEvaluator(SPACE, function, **{"steps": 3, "scale": SCALE, "device": "cpu", **settings})


def begun(function: Callable[..., Any], **settings: Any) -> FunctionSteps:
    steps = evaluator(function, **settings).begin(CELL)
    assert isinstance(steps, FunctionSteps)
    return steps


def walk(model: Any, context: TrainingContext) -> float:
    """A random walk that draws from all generators and goes on from its checkpoint."""
    path, place, first = context.checkpoint / "place.pt", 0.0, 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        place, first = saved["place"], saved["step"]
    for step in range(first, context.steps or 1):
        place += random.random() + float(np.random.rand()) + float(torch.rand(()))
        torch.save({"place": place, "step": step + 1}, path)
        context.report(step + 1, place, double=2 * place)
    return place


def forgetful(model: Any, context: TrainingContext) -> float:
    """A random walk that writes no checkpoint."""
    place = 0.0
    for step in range(context.steps or 1):
        place += float(torch.rand(()))
        context.report(step + 1, place)
    return place


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


def test_steps_are_those_of_the_whole_evaluation() -> None:
    [whole] = evaluator(walk).evaluate([CELL])
    steps = begun(walk)
    first, second, last = (steps.step() for _ in range(3))
    assert [each.fidelity for each in (first, second, last)] == [1, 2, None]
    assert (steps.fidelity, last.score, last.key) == (3, whole.score, SPACE.key(CELL))
    assert last.curves["step_score"] == whole.curves["step_score"] == (first.score, second.score, last.score)
    assert last.metrics["double"] == 2 * last.score
    assert len(last.curves["step_seconds"]) == 3
    assert math.isclose(last.seconds, sum(last.curves["step_seconds"]))
    assert first.seconds < second.seconds < last.seconds


@pytest.mark.parametrize("function", [walk, forgetful])
def test_state_goes_on_to_the_same_scores(function: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    [whole] = evaluator(function).evaluate([CELL])
    first = begun(function)
    first.step()
    second = begun(function)
    second.load_state(through_a_file(first.state()))
    assert second.fidelity == 1
    assert [second.step().fidelity, second.fidelity] == [2, 2]
    third = begun(function)
    third.load_state(through_a_file(second.state()))
    last = third.step()
    assert (last.score, last.curves["step_score"], last.fidelity) == (whole.score, whole.curves["step_score"], None)
    starts_over = "wrote nothing to context.checkpoint, so it starts over where it should go on: 1 steps are done again"
    assert (starts_over in caplog.text) == (function is forgetful)


def test_checkpoint_that_is_written_after_the_report_is_a_step_behind() -> None:
    def late(model: Any, context: TrainingContext) -> float:
        file = context.checkpoint / "step.txt"
        first = int(file.read_text()) if file.exists() else 0
        for step in range(first, 3):
            context.report(step + 1, step + 1.0)
            file.write_text(str(step + 1))
        return 3.0

    before, after = begun(late), begun(late)
    before.step()
    before.step()  # the file says 1
    after.load_state(before.state())
    last = after.step()
    assert (last.curves["step_score"], last.fidelity) == ((1.0, 2.0, 3.0), None)


def test_random_numbers_are_those_of_the_candidate_and_leave_no_trace() -> None:
    torch.manual_seed(5)
    expected = float(torch.rand(()))
    torch.manual_seed(5)
    alone, steps = begun(walk), begun(walk)
    alone.step()
    other = evaluator(walk).begin(SPACE.from_genotype([3, 0, 1, 0, 0, 3]))
    steps.step()
    other.step()
    assert float(torch.rand(())) == expected
    torch.rand(100)
    assert steps.step().score == alone.step().score != other.step().score
    assert begun(walk, seed=1).step().score != begun(walk).step().score


def test_models_begin_with_the_same_weights() -> None:
    def total(model: Any, context: TrainingContext) -> float:
        return sum(float(each.detach().abs().sum()) for each in model.parameters())

    torch.manual_seed(1)
    [first] = evaluator(total).evaluate([CELL])
    torch.manual_seed(2)
    [second] = evaluator(total).evaluate([CELL])
    [other] = evaluator(total, seed=1).evaluate([CELL])
    assert first.score == second.score != other.score


def test_function_that_never_reports_has_one_step() -> None:
    def train(model: Any, context: TrainingContext) -> dict[str, float]:
        return {"score": 0.5, "size": context.cost["params"]}

    for steps in (None, 3):
        each = begun(train, steps=steps)
        evaluation = each.step()
        assert (evaluation.score, evaluation.fidelity, evaluation.curves["step_score"]) == (0.5, None, (0.5,))
        assert evaluation.metrics == {"size": SPACE.cost(CELL, **SCALE).params}


def test_reports_without_a_number_of_steps_are_recorded_only() -> None:
    def train(model: Any, context: TrainingContext) -> float:
        for step in (1, 2, 3):
            context.report(step, step / 4)
        return 1.0

    evaluation = begun(train, steps=None).step()
    assert (evaluation.fidelity, evaluation.curves["step_score"], evaluation.score) == (None, (0.25, 0.5, 0.75), 1.0)


def test_losses_are_negated_and_kept_as_they_are() -> None:
    def train(model: Any, context: TrainingContext) -> dict[str, float]:
        context.report(1, 2.0)
        return {"loss": 1.5, "error": 0.25}

    steps = begun(train, mode="min")
    first, last = steps.step(), steps.step()
    assert (first.score, first.metrics) == (-2.0, {"loss": 2.0})
    assert (last.score, last.metrics) == (-1.5, {"loss": 1.5, "error": 0.25})
    assert (last.curves["step_score"], last.curves["loss"]) == ((-2.0, -1.5), (2.0, 1.5))


def test_function_may_end_early_and_skip_steps() -> None:
    def train(model: Any, context: TrainingContext) -> float:
        context.report(2, 0.5)
        context.report(5, 0.6)
        return 0.7

    steps = begun(train, steps=10)
    assert [steps.step().fidelity, steps.step().fidelity] == [2, 5]
    last = steps.step()
    assert (last.fidelity, steps.fidelity, last.curves["step"]) == (None, 10, (2.0, 5.0, 6.0))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "train: expected the score, .* it returned None. A return statement is missing"),
        ("0.5", "it returned '0.5'"),
        (math.nan, "expected a finite number as the score"),
        (ValueError("no such column"), r"^ValueError: no such column \(line \d+ of test_steps.py\)$"),
        (SystemExit("over"), r"SystemExit: over \(line \d+ of test_steps.py\)"),
        (RuntimeError("CUDA out of memory"), "^out of memory"),
        (RuntimeError("Found no NVIDIA driver on your system."), "There is no GPU here: use context.device instead of 'cuda'"),
    ],
)
def test_functions_that_give_no_score(outcome: Any, message: str) -> None:
    def train(model: Any, context: TrainingContext) -> Any:
        context.report(1, 0.5)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    steps = begun(train)
    assert steps.step().ok
    evaluation = steps.step()
    assert not evaluation.ok
    assert evaluation.error is not None
    assert re.search(message, evaluation.error), evaluation.error
    assert evaluation.seconds > 0


def test_wrong_reports_fail_the_candidate_even_if_the_function_catches_the_error() -> None:
    def train(model: Any, context: TrainingContext) -> float:
        context.report(2, 0.5)
        try:
            context.report(1, 0.5)
        except Exception:
            return 1.0
        return 2.0

    steps = begun(train)
    steps.step()
    assert steps.step().error == "report: expected a step above 2, the last one; got 1"


def test_errors_of_data_and_settings_are_no_fault_of_the_candidate(tmp_path: Path) -> None:
    def train(model: Any, context: TrainingContext) -> float:
        return float(len(context.dataset.train))

    with pytest.raises(ConfigurationError, match="the evaluator names none"):
        evaluator(train).evaluate([CELL])
    with pytest.raises(DatasetError):
        evaluator(train, dataset=f"imagefolder:{tmp_path / 'missing'}", input_shape=[3, 8, 8], num_classes=2).evaluate([CELL])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="device: expected one of this machine; got 'cuda'"):
        evaluator(walk, device="cuda").evaluate([CELL])


def test_stopped_candidate_ends_and_leaves_nothing() -> None:
    cleaned: list[str] = []
    folders: list[Path] = []

    def train(model: Any, context: TrainingContext) -> float:
        folders.append(context.checkpoint)
        try:
            return walk(model, context)
        finally:
            cleaned.append("yes")

    before = threading.active_count()
    steps = begun(train)
    steps.step()
    assert threading.active_count() == before + 1
    assert folders[0].is_dir()
    steps.close()
    assert (threading.active_count(), cleaned, folders[0].exists()) == (before, ["yes"], False)
    with pytest.raises(ConfigurationError, match="this evaluation has ended"):
        steps.step()
    dropped = begun(train)
    dropped.step()
    del dropped
    gc.collect()
    assert (threading.active_count(), len(cleaned), folders[1].exists()) == (before, 2, False)


def test_threads_are_those_of_the_evaluator() -> None:
    def train(model: Any, context: TrainingContext) -> float:
        return float(torch.get_num_threads())

    before = torch.get_num_threads()
    assert [begun(train, threads=threads).step().score for threads in (2, 1)] == [2.0, 1.0]
    assert torch.get_num_threads() == before


def test_time_while_it_is_paused_does_not_count() -> None:
    steps = begun(walk)
    steps.step()
    time.sleep(0.3)
    assert steps.step().curves["step_seconds"][1] < 0.3


@pytest.mark.parametrize("state", [{}, {"files": {}}, {"files": {}, "reports": None}, {"files": 3}, None])
def test_other_states_are_refused(state: Any) -> None:
    with pytest.raises(ConfigurationError, match="state: expected the state of an evaluation by a function"):
        begun(walk).load_state(state)


def test_state_is_loaded_before_the_first_step() -> None:
    steps = begun(walk)
    steps.step()
    with pytest.raises(ConfigurationError, match="expected an evaluation before its first step"):
        steps.load_state(steps.state())


def test_starting_over_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    made = evaluator(forgetful)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            before, after = made.begin(CELL), made.begin(CELL)
            before.step()
            after.load_state(before.state())
    assert caplog.text.count("starts over") == 1
