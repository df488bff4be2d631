"""Latencies are measured once, in an actor, and kept for later runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from archsearch.cluster import LatencyMeter
from archsearch.errors import ConfigurationError
from archsearch.evaluators.latency_cost import LatencyConditions
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELLS = [SPACE.sample(np.random.default_rng(seed)) for seed in (1, 2, 3)]
NETWORK = {"input_shape": (1, 8, 8), "num_classes": 10, "channels": 2, "cells_per_stage": 1}


def meter(conditions: LatencyConditions) -> LatencyMeter:
    return LatencyMeter(SPACE, conditions, NETWORK)


def noted(calls: Path) -> LatencyConditions:
    def measure(network: Any, shape: Any) -> float:
        with calls.open("a") as file:
            file.write("x")
        return float(calls.stat().st_size)

    return LatencyConditions(function=measure)


def test_each_architecture_is_measured_once_here(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    measured = meter(noted(calls))
    assert [measured(cell) for cell in (*CELLS, *CELLS)] == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.slow
def test_an_actor_measures_and_later_runs_take_it_from_the_ledger(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    first, root = meter(noted(calls)), str(tmp_path / "ledger")
    first.open(root, 1.0, 0.0)
    values = [first(cell) for cell in CELLS]
    assert values == [2.0, 3.0, 4.0], "one was measured when the actor started"
    copied = ray.cloudpickle.loads(ray.cloudpickle.dumps(first))
    assert [copied(cell) for cell in CELLS] == values, "searchers in other processes ask the same actor"
    first.close()
    second = meter(noted(calls))
    second.open(root, 1.0, 0.0)
    assert [second(cell) for cell in CELLS] == values and calls.stat().st_size == 4
    second.close()


@pytest.mark.usefixtures("shared_ray")
def test_what_can_never_be_measured_is_refused_at_the_start(tmp_path: Path) -> None:
    def unplugged(network: Any, shape: Any) -> float:
        raise ConnectionError("not plugged in")

    with pytest.raises(ConfigurationError, match="^latency: the function .*unplugged raised ConnectionError: not plugged in"):
        meter(LatencyConditions(function=unplugged)).open(str(tmp_path), 1.0, 0.0)


def test_one_that_cannot_be_measured_is_no_number(caplog: pytest.LogCaptureFixture) -> None:
    def moody(network: Any, shape: Any) -> float:
        raise ValueError("too large for the phone")

    measured = meter(LatencyConditions(function=moody))
    assert all(np.isnan(measured(cell)) for cell in CELLS)
    assert caplog.text.count("cannot be measured") == 1 and "too large for the phone" in caplog.text
