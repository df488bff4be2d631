"""Searches with a limit on latency: candidates beyond it are not trained, and a resumed search sees the same latencies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import platform
from archsearch.errors import ConfigurationError
from archsearch.evaluators import TrainingEvaluator
from archsearch.platform.command_line import main
from archsearch.searchers import RandomSearch, goals_for
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
OPTIONS: dict[str, Any] = {"epochs": 1, "scale": {"channels": 2, "cells_per_stage": 1}, "device": "cpu"}
SETTINGS: dict[str, Any] = {"tracking": "off", "report": False, "progress": False, "workers": 1}


def thousands(network: torch.nn.Module, shape: Any) -> float:
    """Stand for a device whose latency grows with the parameters."""
    return sum(parameter.numel() for parameter in network.parameters()) / 1000


def test_costs_that_need_no_measurement_decide_first() -> None:
    asked: list[float] = []

    def noted(network: torch.nn.Module, shape: Any) -> float:
        asked.append(thousands(network, shape))
        return asked[-1]

    evaluator = TrainingEvaluator(SPACE, "digits", latency=noted, **OPTIONS)
    goals = goals_for(evaluator, ["accuracy"], {"latency_ms": "<= 1.3", "params": "<= 1300"})
    large, small = SPACE.from_genotype([3] * 6), SPACE.from_genotype([1] * 6)
    assert goals.excess(large) > 0 and not asked
    assert goals.excess(small) == 0.0 and len(asked) == 1
    goals.require_feasible(SPACE, np.random.default_rng(0))
    assert len(asked) == 1, "nothing is measured before the workers are there"
    assert goals_for(evaluator).latency is None, "it is measured only if a goal names it"
    assert goals.figures(evaluator.failed(small, "")) == {"score": pytest.approx(float("nan"), nan_ok=True)}


def test_impossible_limits_end_the_search_soon(caplog: pytest.LogCaptureFixture) -> None:
    count = 0

    def slow(network: torch.nn.Module, shape: Any) -> float:
        nonlocal count
        count += 1
        return 50.0

    evaluator = TrainingEvaluator(SPACE, "digits", latency=slow, **OPTIONS)
    goals = goals_for(evaluator, ["accuracy"], {"latency_ms": "<= 5"})
    searcher = RandomSearch(SPACE, 0, num_candidates=5, goals=goals)
    assert searcher.suggest("t0") == "FINISHED" and count <= 500
    assert "500 draws in a row gave no new candidate that satisfies latency_ms <= 5" in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_candidates_beyond_the_limit_are_not_trained(tmp_path: Path) -> None:
    evaluator = TrainingEvaluator(SPACE, "digits", latency=thousands, **OPTIONS)
    result = platform.run_search(
        SPACE,
        "evolution",
        evaluator,
        8,
        storage=tmp_path,
        constraints={"latency_ms": "<= 1.6"},
        objectives=["accuracy", "-latency_ms"],
        **SETTINGS,
    )
    rows = result.evaluations.to_pylist()
    assert len(rows) == 8 and all(row["error"] is None for row in rows)
    assert all(row["latency_ms"] == row["params"] / 1000 <= 1.6 for row in rows)
    assert [str(each) for each in result.summary.objectives] == ["score", "-latency_ms"]
    front = [found.metrics["latency_ms"] for found in result.pareto()]
    assert front == sorted(front)
    assert result.summary.settings["latency"]["function"].endswith(":thousands")


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
def test_measured_latencies_are_kept(tmp_path: Path) -> None:
    def run(name: str) -> list[dict[str, Any]]:
        result = platform.run_search(
            "nasbench201",
            "optuna",
            "train:digits",
            4,
            name=name,
            storage=tmp_path,
            constraints={"latency_ms": "<= 1000"},
            evaluator_options=OPTIONS,
            deterministic=True,
            **SETTINGS,
        )
        rows: list[dict[str, Any]] = result.evaluations.to_pylist()
        return rows

    first, again = run("first"), run("again")
    for one, other in zip(first, again, strict=True):
        assert one["architecture"] == other["architecture"]
        assert one["latency_ms"] == other["latency_ms"] and one["latency_ms_low"] <= one["latency_ms"] <= one["latency_ms_high"]
    resumed = platform.resume_search(tmp_path / "first", progress=False).evaluations.to_pylist()
    assert [row["latency_ms"] for row in resumed] == [row["latency_ms"] for row in first]


@pytest.mark.parametrize(
    ("evaluator", "options", "message"),
    [
        ("table:digits201", {}, "constraints: cost: expected one of"),
        ("train:digits", {"latency": "nowhere_at_all:measure"}, "latency: cannot import the module 'nowhere_at_all'"),
        ("train:digits", {"latency_batch": 0}, "latency_batch: expected a whole number"),
    ],
)
def test_what_cannot_be_measured_is_refused(evaluator: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        platform.run_search(
            "nasbench201",
            "random",
            evaluator,
            2,
            storage=tmp_path,
            constraints={"latency_ms": "<= 5"},
            evaluator_options=options,
            **SETTINGS,
        )


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
def test_a_function_that_fails_ends_the_command_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unplugged_phone.py").write_text("def ask(network, shape):\n    raise OSError('no device')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = ["--train", "latency=unplugged_phone:ask", "--train", "epochs=1", "--constraint", "latency_ms <= 5"]
    assert main(["run", "--candidates", "2", "--searcher", "random", *settings, "--tracking", "off", "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "latency: " in error and ("no device" in error or "unplugged_phone" in error)
