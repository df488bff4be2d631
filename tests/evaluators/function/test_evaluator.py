"""The evaluator of a function: it passes the conformance tests, and its fingerprint follows source and settings."""

from __future__ import annotations

import functools
import itertools
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import Evaluator, FunctionEvaluator, TrainingContext
from archsearch.evaluators.conformance import EvaluatorConformance, StepwiseConformance
from archsearch.evaluators.datasets import load
from archsearch.spaces import Architecture, ModuleSpace, SearchSpace
from archsearch.spaces.module import Choose

SPACE = spaces.get("nasbench201")
CELL = SPACE.from_genotype([3, 0, 1, 0, 0, 1])
SCALE = {"channels": 2, "cells_per_stage": 1}


def train(model: torch.nn.Module, context: TrainingContext) -> dict[str, float]:
    images = context.dataset.train.images[:16].float() / 255
    labels = context.dataset.train.labels[:16]
    optimizer = torch.optim.SGD(model.parameters(), context.settings.get("rate", 0.1))
    loss = torch.zeros(())
    for step in range(context.keep(model, optimizer), context.steps or 1):
        chosen = torch.randint(len(images), (8,))
        loss = torch.nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        context.report(step + 1, loss.item())
    if len(context.architecture.cells[0].edge_operators) != 6 or context.settings.get("fails") == str(context.architecture):
        raise ValueError("asked for")
    return {"loss": loss.item(), "params": context.cost["params"]}


def another(model: torch.nn.Module, context: TrainingContext) -> float:
    return 1.0


class TestFunctionEvaluator(StepwiseConformance):
    num_candidates = 3

    def make_evaluator(self, space: SearchSpace) -> Evaluator:
        return FunctionEvaluator(space, train, steps=2, mode="min", dataset="digits", scale=SCALE, device="cpu")

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        settings: dict[str, Any] = {"steps": 2, "mode": "min", "dataset": "digits", "scale": SCALE}
        changes: tuple[dict[str, Any], ...] = (
            {"steps": 3},
            {"mode": "max", "score_name": "loss"},
            {"settings": {"rate": 0.2}},
            {"scale": {**SCALE, "channels": 3}},
            {"num_classes": 11},
            {"input_shape": (1, 9, 9)},
            {"score_name": "cross_entropy"},
        )
        without = {**settings, "dataset": None, "input_shape": (1, 8, 8)}
        return [FunctionEvaluator(space, another, **settings), FunctionEvaluator(space, another, **without)] + [
            FunctionEvaluator(space, train, **{**settings, **change}) for change in changes
        ]

    def unscorable(self, space: SearchSpace) -> tuple[Evaluator, Architecture] | None:
        failing = self.candidates(space)[2]
        given: dict[str, Any] = {"settings": {"fails": str(failing)}, "dataset": "digits", "scale": SCALE}
        return FunctionEvaluator(space, train, mode="min", **given), failing


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"function": 3}, "function: expected a function"),
        ({"function": lambda model: 1.0}, "function: expected a function"),
        ({"steps": 0}, "steps: expected a whole number of at least 1; got 0"),
        ({"steps": 2.0}, "steps: expected a whole number"),
        ({"mode": "minimum"}, "mode: expected max, or min for a loss; got 'minimum'"),
        ({"mode": "min", "percent": True}, "percent: expected False with mode='min'"),
        ({"score_name": "test_accuracy"}, "score_name: expected a name such as accuracy, without 'test'"),
        ({"score_name": "my score"}, "score_name: expected a name"),
        ({"settings": {"net": object()}}, "settings: expected numbers, strings, lists and mappings"),
        ({"settings": {"sizes": (1, 2)}}, "settings: expected numbers"),
        ({"settings": [1]}, "settings: expected a mapping; got"),
        ({"metrics": [3]}, "metrics: expected names that are strings"),
        ({"device": "gpu"}, "device: expected auto, cpu, cuda"),
        ({"threads": 0}, "threads: expected a whole number"),
        ({"input_shape": [8, 8]}, "input_shape: expected channels, height and width"),
        ({"input_shape": [1, 8, 0]}, "input_shape: expected a whole number"),
        ({"num_classes": 0}, "num_classes: expected a whole number"),
        ({"scale": {"chanels": 3}}, "scale: nasbench201 has no setting 'chanels'. Did you mean 'channels'"),
        ({"scale": 3}, "scale: expected a mapping; got 3"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], message: str) -> None:
    given = {"function": train, **settings}
    with pytest.raises(ConfigurationError, match=message):
        FunctionEvaluator(SPACE, **given)


def test_unknown_images() -> None:
    with pytest.raises(DatasetError, match="dataset: expected one of"):
        FunctionEvaluator(SPACE, train, dataset="digit")


def test_images_decide_shape_and_classes() -> None:
    evaluator = FunctionEvaluator(SPACE, train, dataset="digits", scale=SCALE)
    assert evaluator.cost_arguments == {"input_shape": (1, 8, 8), "num_classes": 10, **SPACE.checked_scale(SCALE)}
    assert evaluator.task == "digits"
    in_memory = FunctionEvaluator(SPACE, train, dataset=load("digits"), scale=SCALE)
    assert in_memory.fingerprint() == evaluator.fingerprint()
    assert FunctionEvaluator(SPACE, train).cost_arguments["input_shape"] == (3, 32, 32)
    assert FunctionEvaluator(SPACE, train).task == "train"


def test_what_a_user_reads() -> None:
    evaluator = FunctionEvaluator(SPACE, train, steps=4, mode="min")
    assert evaluator.facts() == ("Scored by the function train of test_evaluator.py in 4 steps: loss, lower is better.",)
    assert (evaluator.score_name, evaluator.lower_is_better, evaluator.max_fidelity) == ("loss", True, 4)
    whole = FunctionEvaluator(SPACE, functools.partial(train), score_name="accuracy", percent=True, metrics=["size"])
    assert whole.facts() == ("Scored by the function train of test_evaluator.py in one piece: accuracy, higher is better.",)
    assert (whole.score_is_fraction, whole.metric_names, whole.max_fidelity, whole.lower_is_better) == (True, ("size",), 1, False)


def test_fingerprint_is_that_of_the_place_where_the_source_is(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = FunctionEvaluator(SPACE, train)
    fingerprint = evaluator.fingerprint()
    monkeypatch.setattr("archsearch.evaluators.function.evaluator.source_digest", lambda function: "0" * 16)
    assert pickle.loads(pickle.dumps(evaluator)).fingerprint() == fingerprint


def perceptron(choose: Choose, width: int = 8, num_classes: int = 3) -> torch.nn.Module:
    sizes = [4] + [width * choose.one("factor", [1, 2])] * choose.one("layers", [1, 2])
    layers = [each for pair in itertools.pairwise(sizes) for each in (torch.nn.Linear(*pair), torch.nn.ReLU())]
    return torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], num_classes))


def total(model: torch.nn.Module, context: TrainingContext) -> dict[str, float]:
    values = [each.detach() for each in model.parameters()]
    return {"score": float(values[0].sum()), "size": sum(each.numel() for each in values), "params": context.cost["params"]}


@pytest.mark.slow
class TestModules(EvaluatorConformance):
    def make_space(self) -> SearchSpace:
        return ModuleSpace(perceptron, torch.zeros(1, 4))

    def make_evaluator(self, space: SearchSpace) -> Evaluator:
        return FunctionEvaluator(space, total)

    def changed_evaluators(self, space: SearchSpace) -> Sequence[Evaluator]:
        return [FunctionEvaluator(space, total, num_classes=4), FunctionEvaluator(space, total, scale={"width": 7})]


def test_modules_are_those_of_the_space() -> None:
    space = ModuleSpace(perceptron, torch.zeros(1, 4))
    candidate = space.parse("factor=2 layers=1")
    first, again, other = (FunctionEvaluator(space, total, seed=seed).evaluate([candidate])[0] for seed in (0, 0, 1))
    assert first.score == again.score != other.score
    assert first.metrics["size"] == first.metrics["params"] == 4 * 16 + 16 + 16 * 3 + 3
    [larger] = FunctionEvaluator(space, total, num_classes=5, scale={"width": 4}).evaluate([candidate])
    assert larger.metrics["size"] == larger.metrics["params"] == 4 * 8 + 8 + 8 * 5 + 5
    with pytest.raises(ConfigurationError, match="scale: perceptron has no setting 'with'. Did you mean 'width'"):
        FunctionEvaluator(space, total, scale={"with": 3})
    with pytest.raises(ConfigurationError, match="in_channels: build of perceptron has no such argument"):
        FunctionEvaluator(space, total, input_shape=(4, 1, 1)).evaluate([candidate])
