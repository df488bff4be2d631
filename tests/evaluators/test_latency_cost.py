"""Latency before a training: measured on the untrained network under its conditions, or asked from a function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator
from archsearch.evaluators.latency_cost import RUNS, LatencyConditions
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.from_genotype([3, 3, 3, 3, 3, 3])
NETWORK = {"input_shape": (1, 8, 8), "num_classes": 10, "channels": 2, "cells_per_stage": 1}


def params(network: torch.nn.Module, input_shape: Any) -> float:
    assert not network.training and tuple(input_shape) == (1, 8, 8)
    return sum(parameter.numel() for parameter in network.parameters()) / 100


def as_numpy(network: torch.nn.Module, input_shape: Any) -> Any:
    return np.float32(2.5)


def test_it_is_measured() -> None:
    found = LatencyConditions("cpu", 1, 4).measure(SPACE, CELL, NETWORK)
    assert set(found) == {"latency_ms", "latency_ms_low", "latency_ms_high"}
    assert 0 < found["latency_ms_low"] <= found["latency_ms"] <= found["latency_ms_high"]
    facts = LatencyConditions("cpu", 1, 4).facts()
    assert (facts["device"], facts["threads"], facts["batch_size"], facts["runs"]) == ("cpu", 1, 4, RUNS)
    assert facts["hardware"]


def test_a_larger_batch_takes_longer() -> None:
    small, large = (LatencyConditions("cpu", 1, size).measure(SPACE, CELL, NETWORK)["latency_ms"] for size in (1, 512))
    assert large > 2 * small


@pytest.mark.parametrize("function", [params, f"{__name__.rpartition('.')[2]}:params"])
def test_a_function_is_asked(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, __name__.rpartition(".")[2], sys.modules[__name__])
    conditions = LatencyConditions(function=function)
    cost = SPACE.cost(CELL, **NETWORK)
    assert conditions.measure(SPACE, CELL, NETWORK) == {"latency_ms": cost.params / 100}
    assert conditions.facts()["function"].endswith(":params")
    assert LatencyConditions(function=as_numpy).measure(SPACE, CELL, NETWORK) == {"latency_ms": 2.5}


@pytest.mark.parametrize("answer", [None, "fast", math.nan, math.inf, 0.0, -3, True, [1.0], torch.tensor([1.0, 2.0])])
def test_an_answer_that_is_no_time_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigurationError, match="latency: expected milliseconds, a number above 0, from the function"):
        LatencyConditions(function=lambda network, shape: answer).measure(SPACE, CELL, NETWORK)


def test_a_function_that_fails_is_named() -> None:
    def unplugged(network: Any, shape: Any) -> float:
        raise ConnectionError("the phone is\nnot plugged in")

    with pytest.raises(ConfigurationError, match="unplugged raised ConnectionError: the phone is not plugged in"):
        LatencyConditions(function=unplugged).measure(SPACE, CELL, NETWORK)


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        ("fast", "latency: expected module:NAME"),
        ("nowhere_at_all:measure", "latency: cannot import the module 'nowhere_at_all'"),
        ("math:tauu", "latency: the module 'math' has no 'tauu'"),
        ("math:tau", "latency: expected true, a function of .network, input_shape."),
        ("collections:OrderedDict", "latency: expected true, a function"),
        (5, "latency: expected true, a function"),
        (1, "latency: expected true, a function"),
        ({"a": 1}, "latency: expected true, a function"),
    ],
)
def test_what_is_no_function_is_refused(latency: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TrainingEvaluator(SPACE, "digits", latency=latency)


def test_wrong_batches_are_refused() -> None:
    for size in (0, -1, 2.5, "8", True):
        with pytest.raises(ConfigurationError, match="latency_batch: expected a whole number of at least 1"):
            TrainingEvaluator(SPACE, "digits", latency_batch=size)  # type: ignore[arg-type]


def test_scores_keep_their_identity() -> None:
    plain = TrainingEvaluator(SPACE, "digits").fingerprint()
    assert TrainingEvaluator(SPACE, "digits", latency=params, latency_batch=8).fingerprint() == plain
    assert TrainingEvaluator(SPACE, "digits", latency=True).fingerprint() != plain, "there it is a metric of the evaluation"
    assert "latency_ms_batch1" not in TrainingEvaluator(SPACE, "digits", latency=params).metric_names
