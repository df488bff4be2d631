"""What users may give by mistake as a function that builds modules, and as one that trains them, and what they are told."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archsearch.errors import ArchitectureError, ArchSearchError, ConfigurationError
from archsearch.evaluators import FunctionEvaluator
from archsearch.evaluators.function.reference import imported_function
from archsearch.spaces import ModuleSpace
from archsearch.spaces.module import Choose

INPUTS = torch.zeros(1, 8)
counter = itertools.count()


def no_module(choose: Choose) -> Any:
    return choose.one("width", [4, 8])


def by_chance(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one("width", [4, 8]) + int(torch.randint(1000, (1,))))


def chance_of_numpy(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one("width", [4, 8]) + int(np.random.default_rng().integers(1000)))


def by_global_state(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one("width", [4, 8]) * (1 + next(counter)))


def other_choices_each_time(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one(f"width{next(counter)}", [4, 8]))


def no_choices(choose: Choose) -> nn.Module:
    return nn.Linear(8, 4)


def one_alternative(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one("width", [4]))


def clash(choose: Choose) -> nn.Module:
    return nn.Sequential(*(nn.Linear(8, choose.one("width", [8, 16])) for _ in range(2)))


def other_alternatives(choose: Choose) -> nn.Module:
    wide = choose.one("wide", [False, True])
    return nn.Linear(8, choose.one("width", [16, 32] if wide else [4, 8]))


def raises(choose: Choose) -> nn.Module:
    return nn.MultiheadAttention(choose.one("width", [8, 12]), choose.one("heads", [1, 8]))


def does_not_fit(choose: Choose) -> nn.Module:
    return nn.Sequential(nn.Linear(8, choose.one("width", [4, 8])), nn.Linear(8, 2))


BUILDS: list[tuple[Callable[..., Any], type[ArchSearchError], str]] = [
    (no_module, ConfigurationError, "build: expected a function that returns a torch.nn.Module; got 4"),
    (by_chance, ConfigurationError, "'width=4' gave different layers.*Use neither random numbers nor global state"),
    (chance_of_numpy, ConfigurationError, "gave different layers.*ask choose instead"),
    (by_global_state, ConfigurationError, "gave different layers.*ask choose instead"),
    (other_choices_each_time, ConfigurationError, "expected the same choices.*it asked 'width.*and then 'width"),
    (no_choices, ConfigurationError, r"choose.one\('width', \[16, 32\]\); it has no choices"),
    (one_alternative, ConfigurationError, "it has no choices"),
    (clash, ConfigurationError, r"the name 'width' is taken. In a loop number it.*shared=True"),
    (other_alternatives, ConfigurationError, r"one list of alternatives for each name; 'width' has \[.*and, after wide=True"),
    (raises, ArchitectureError, "build failed with width=12 heads=8.*must be divisible.*nest a choice"),
    (does_not_fit, ArchitectureError, "example_inputs: the module of 'width=4' cannot run on them .*mat1 and mat2"),
]


@pytest.mark.parametrize(("build", "kind", "message"), BUILDS, ids=lambda each: getattr(each, "__name__", ""))
def test_functions_that_build(build: Callable[..., Any], kind: type[ArchSearchError], message: str) -> None:
    with pytest.raises(kind, match=message):
        space = ModuleSpace(build, INPUTS)
        space.key(space.sample(np.random.default_rng(0)))


def perceptron(choose: Choose) -> nn.Module:
    return nn.Linear(8, choose.one("width", [4, 8]))


def gives(value: Any) -> Callable[[Any, Any], Any]:
    def train(model: Any, context: Any) -> Any:
        return value

    return train


def fails(model: Any, context: Any) -> float:
    raise ValueError("the file of labels is empty")


def needs_a_gpu(model: Any, context: Any) -> float:
    return float(model.to("cuda:77")(INPUTS.to("cuda:77")).sum())


TRAININGS = [
    (gives(None), "train: expected the score.*it returned None. A return statement is missing"),
    (gives(float("nan")), "train: expected a finite number as the score; it returned nan"),
    (gives("0.5"), "train: expected the score.*it returned '0.5', of the type str"),
    (gives({"loss": 1.0}), r"train: expected a mapping with 'score'; it returned \['loss'\]"),
    (fails, "ValueError: the file of labels is empty"),
    (needs_a_gpu, "(?i)cuda|nvidia"),
]


@pytest.mark.parametrize(("train", "message"), TRAININGS, ids=["none", "nan", "text", "mapping", "raises", "gpu"])
def test_functions_that_train(train: Callable[..., Any], message: str) -> None:
    space = ModuleSpace(perceptron, INPUTS)
    good, bad = FunctionEvaluator(space, gives(0.5)), FunctionEvaluator(space, train)
    [evaluation] = bad.evaluate([space.parse("width=4")])
    assert not evaluation.ok
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(evaluation.error)
    assert good.evaluate([space.parse("width=4")])[0].ok, "one function that fails harms no other"


def test_a_device_that_is_not_there() -> None:
    space = ModuleSpace(perceptron, INPUTS)
    evaluator = FunctionEvaluator(space, gives(0.5), device="cuda:77")  # a worker may have it
    with pytest.raises(ConfigurationError, match="device: expected one of this machine; got 'cuda:77'.*gpus_per_worker=1"):
        evaluator.evaluate([space.parse("width=4")])


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("python:no_such_module:train", "evaluator: .*no_such_module"),
        ("python:statistics:maen", "evaluator: the module statistics has no 'maen'. Did you mean 'mean'"),
        ("python:math:pi", "function: expected a function of .*got 3.14"),
    ],
)
def test_functions_that_do_not_exist(reference: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FunctionEvaluator(ModuleSpace(perceptron, INPUTS), imported_function(reference))


def test_functions_that_cannot_be_sent_name_what_is_to_blame() -> None:
    lock = threading.Lock()

    def build(choose: Choose) -> nn.Module:
        with lock:
            return perceptron(choose)

    with pytest.raises(ConfigurationError, match="build: .* cannot be sent to other processes: lock cannot be pickled"):
        pickle.dumps(ModuleSpace(build, INPUTS, "locked"))
