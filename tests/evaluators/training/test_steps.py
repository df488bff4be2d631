"""Trainings in steps: equal to whole ones to the last bit, resumable after each epoch, and what happens when one fails."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import Evaluation, EvaluationSteps, TrainingEvaluator, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.saved_state import read_state, write_state
from archsearch.evaluators.training.loop import Training
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
OTHER = SPACE.parse("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|skip_connect~2|")
TINY = {"channels": 2, "cells_per_stage": 1}
SMALL = {"channels": 2}
DIGITS = datasets.load("digits")
FEW = Splits(*(part.take(range(96), f"few/{name}") for part, name in zip(DIGITS, ("train", "validation", "test"), strict=True)))


def evaluator(space: Any = SPACE, **settings: Any) -> TrainingEvaluator:
    return TrainingEvaluator(space, FEW, **{"epochs": 3, "batch_size": 48, "crop": 0, "scale": TINY, **settings})


def content(evaluation: Evaluation) -> tuple[Any, ...]:
    """All of an evaluation but times."""
    curves = {name: curve for name, curve in evaluation.curves.items() if name != "step_seconds" and "latency" not in name}
    metrics = {name: value for name, value in evaluation.metrics.items() if "latency" not in name}
    return evaluation.architecture, evaluation.key, evaluation.score, metrics, evaluation.error, curves, evaluation.fidelity


def all_steps(steps: EvaluationSteps) -> list[Evaluation]:
    found = [steps.step()]
    while found[-1].ok and found[-1].is_partial:
        found.append(steps.step())
    return found


def through_bytes(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as a file gives it back, read without running code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("nasbench201", {"repeats": 2, "report_test": True}),
    ("nasbench201", {"weight_average": 0.9, "drop_path": 0.3, "auxiliary": 0.4, "crop": 1, "cutout": 3, "report_test": True}),
    ("nasbench201", {"objective": "balanced_accuracy", "class_weights": True, "schedule": "exponential", "channels_last": True}),
    ("anytime", {"objective": "anytime", "report_test": True, "scale": SMALL, "accumulate": 2}),
]


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_steps_are_the_whole_training_and_go_on_from_a_state(name: str, settings: dict[str, Any]) -> None:
    space = spaces.get(name)
    candidate = space.sample(np.random.default_rng(1))
    maker = evaluator(space, **settings)
    [whole] = maker.evaluate([candidate])
    steps, states = maker.begin(candidate), []
    rows = []
    for _ in range(3):
        states.append(through_bytes(steps.state()))
        rows.append(steps.step())
    assert content(rows[-1]) == content(whole)
    assert [row.fidelity for row in rows] == [1, 2, None]
    assert [row.score for row in rows] == list(whole.curves["step_score"])
    for epoch, state in list(enumerate(states))[1:]:
        resumed = evaluator(space, **settings).begin(candidate)
        resumed.load_state(state)
        assert resumed.fidelity == epoch
        assert list(map(content, all_steps(resumed))) == list(map(content, rows[epoch:]))


def test_partial_evaluation_has_the_figures_of_its_epoch() -> None:
    first, second, last = all_steps(evaluator(repeats=2).begin(CELL))
    assert [row.metrics["epochs"] for row in (first, second, last)] == [1.0, 2.0, 3.0]
    assert last.metrics["macs_paid"] == 3 * first.metrics["macs_paid"] > 0
    assert first.metrics.keys() == last.metrics.keys()
    assert second.curves["step_score"] == second.curves["valid_accuracy"] == last.curves["step_score"][:2]
    assert len(second.curves["step_seconds"]) == 2
    assert second.seconds == sum(second.curves["step_seconds"]) > first.seconds > 0.0


def test_state_shares_no_memory_with_the_training() -> None:
    steps = evaluator().begin(CELL)
    steps.step()
    state = steps.state()
    kept = through_bytes(state)
    expected = list(map(content, all_steps(steps)))
    for _ in range(2):  # going on from it does not change it either
        resumed = evaluator().begin(CELL)
        resumed.load_state(state)
        assert list(map(content, all_steps(resumed))) == expected
    assert str(state) == str(kept)


def test_state_is_of_one_candidate_seed_and_evaluator() -> None:
    steps = evaluator().begin(CELL)
    steps.step()
    state = steps.state()
    for others, what in (
        (evaluator().begin(OTHER), "key"),
        (evaluator(seed=1).begin(CELL), "seed"),
        (evaluator(epochs=4).begin(CELL), "evaluator"),
    ):
        with pytest.raises(ConfigurationError, match=f"expected one whose {what} is"):
            others.load_state(state)
        assert others.fidelity == 0
        assert others.step().ok


@pytest.mark.parametrize(
    "broken",
    [
        {"training": None},
        {"training": 3},
        {"epoch": 2},
        {"epoch": "one"},
        {"curves": {}},
        {"latency": None},
        {"training": {"network": {}}},
    ],
)
def test_corrupt_state_is_refused_and_leaves_the_evaluation_as_it_was(broken: dict[str, Any]) -> None:
    steps = evaluator().begin(CELL)
    first = steps.step()
    others = evaluator().begin(CELL)
    with pytest.raises(ConfigurationError, match=r"state: expected what `state\(\)` of the same evaluation returned"):
        others.load_state({**steps.state(), **broken})
    assert content(others.step()) == content(first)


def test_divergence_in_mid_training_is_a_failed_evaluation_that_keeps_the_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    run_epoch = Training.run_epoch

    def poisoned(self: Training, images: torch.Tensor, labels: torch.Tensor) -> float:
        if self.epoch == 1:
            with torch.no_grad():
                next(self.network.parameters()).fill_(float("nan"))
        return run_epoch(self, images, labels)

    monkeypatch.setattr(Training, "run_epoch", poisoned)
    maker = evaluator()
    steps = maker.begin(CELL)
    assert steps.step().ok
    failed = steps.step()
    assert not failed.ok
    assert not failed.is_partial, "there are no more steps"
    assert str(failed.error).startswith("the loss became nan in epoch 2 of 3")
    assert len(failed.curves["step_score"]) == len(failed.curves["step_seconds"]) == 1
    assert failed.seconds > failed.curves["step_seconds"][0]
    assert steps.step() is failed
    [whole] = maker.evaluate([CELL])
    assert (whole.error, whole.curves["step_score"]) == (failed.error, failed.curves["step_score"])


def test_divergence_at_once_has_no_curves() -> None:
    failed = evaluator(learning_rate=1000.0, weight_decay=10.0, batch_size=4).begin(CELL).step()
    assert str(failed.error).startswith("the loss became nan in epoch 1 of 3")
    assert failed.curves == failed.metrics == {}


def test_network_that_cannot_be_built_again_is_a_failed_evaluation() -> None:
    class Exhausted(NASBench201):
        def build(self, *arguments: Any, **scale: Any) -> Network:
            raise torch.OutOfMemoryError("CUDA out of memory.\nSee the documentation.")

    steps = evaluator().begin(CELL)
    steps.step()
    others = evaluator(Exhausted()).begin(CELL)
    others.load_state(steps.state())
    failed = others.step()
    assert failed.error == "out of memory: CUDA out of memory."
    assert len(failed.curves["step_score"]) == 1, "what was paid is not lost"


def test_no_step_after_the_last() -> None:
    steps = evaluator(epochs=1).begin(CELL)
    assert not steps.step().is_partial
    with pytest.raises(ConfigurationError, match="step: all 1 epochs are done"):
        steps.step()


def test_test_images_of_a_stopped_candidate_are_scored_when_asked_for() -> None:
    steps = evaluator(report_test=True).begin(CELL)
    partial = steps.step()
    assert not [name for name in partial.metrics if "test" in name]
    reported = steps.with_report_metrics(partial)
    assert {name for name in reported.metrics if "test" in name} == {"test_accuracy", "test_loss"}
    assert reported.score == partial.score
    rest = all_steps(steps)
    plain = all_steps(evaluator(report_test=True).begin(CELL))
    assert list(map(content, [partial, *rest])) == list(map(content, plain)), "asking changes nothing"
    assert steps.with_report_metrics(rest[-1]) is rest[-1]
    assert "test_accuracy" in rest[-1].metrics
    hidden = evaluator().begin(CELL)
    row = hidden.step()
    assert hidden.with_report_metrics(row) is row


def test_test_images_that_cannot_be_scored_leave_the_evaluation(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = evaluator(report_test=True).begin(CELL)
    partial = steps.step()

    def exhausted(*arguments: object, **named: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr("archsearch.evaluators.training.steps.exit_scores", exhausted)
    assert steps.with_report_metrics(partial) is partial
    assert "could not be scored: out of memory: no memory" in caplog.text


def test_latency_is_measured_once_and_kept_in_the_state() -> None:
    steps = evaluator(latency=True, epochs=2).begin(CELL)
    first = steps.step()
    assert first.metrics["latency_ms_batch1"] > 0.0
    others = evaluator(latency=True, epochs=2).begin(CELL)
    others.load_state(through_bytes(steps.state()))
    names = [name for name in first.metrics if "latency" in name]
    for again in (steps.step(), others.step()):
        assert [again.metrics[name] for name in names] == [first.metrics[name] for name in names]


def test_unreachable_exit_is_not_trained() -> None:
    space = spaces.get("anytime")
    steps = evaluator(space, objective="anytime", max_budget=1.0, scale=SMALL).begin(space.sample(np.random.default_rng(0)))
    failed = steps.step()
    assert "beyond max_budget" in str(failed.error)
    assert steps.state()["training"] is None


def test_missing_images_are_no_fault_of_a_candidate(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        TrainingEvaluator(SPACE, f"imagefolder:{tmp_path}/nowhere", epochs=1, scale=TINY).begin(CELL).step()


def test_cautions_are_logged_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingEvaluator, "cautions", lambda self: ("few images",))
    maker = evaluator(epochs=1)
    with caplog.at_level(logging.WARNING):
        maker.begin(CELL)
        maker.begin(OTHER)
        maker.evaluate([CELL])
    assert [record.getMessage() for record in caplog.records] == ["few images"]
    short = maker.shortened(1)
    assert short.max_fidelity == 1


def test_shortened_copy_has_fewer_steps() -> None:
    assert [row.fidelity for row in all_steps(evaluator().shortened(2).begin(CELL))] == [1, None]
    assert evaluator().fidelities is None
    assert (evaluator().max_fidelity, evaluator().fidelity_name) == (3, "epochs")


def test_state_file_is_small(tmp_path: Path) -> None:
    steps = evaluator().begin(CELL)
    steps.step()
    write_state(tmp_path / "state", steps.state())
    parameters = sum(each.numel() for each in evaluator().network(CELL).parameters())
    assert (tmp_path / "state").stat().st_size < 2 * 4 * parameters + 60_000
    assert read_state(tmp_path / "state")["epoch"] == 1
