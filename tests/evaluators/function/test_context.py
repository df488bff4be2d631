"""What a function is given beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import load
from archsearch.evaluators.function.context import TrainingContext

SPACE = spaces.get("nasbench201")


def context(tmp_path: Path, **changes: Any) -> tuple[TrainingContext, list[Any]]:
    reported: list[Any] = []
    settings: dict[str, Any] = {
        "seed": 3,
        "device": torch.device("cpu"),
        "steps": 4,
        "settings": {"rate": 0.1},
        "checkpoint": tmp_path,
        "costs": lambda: {"params": 5.0, "macs": 7.0},
        "splits": None,
        "report": lambda *given: reported.append(given),
    }
    return TrainingContext(SPACE.sample(np.random.default_rng(0)), **{**settings, **changes}), reported


def test_everything_is_there(tmp_path: Path) -> None:
    made, reported = context(tmp_path, splits=lambda: load("digits"))
    assert (made.seed, made.steps, made.settings["rate"], made.checkpoint, made.cost["params"]) == (3, 4, 0.1, tmp_path, 5.0)
    assert made.dataset.train.num_classes == 10
    made.report(1, 0.5, error=0.25)
    assert reported == [(1, 0.5, {"error": 0.25})]


def test_images_that_were_not_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="context.dataset, but the evaluator names none. Give it one"):
        _ = context(tmp_path)[0].dataset


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    def parts() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = torch.nn.Linear(2, 1)
        return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()

    model, optimizer = parts()
    first, _ = context(tmp_path)
    assert first.keep(model, optimizer) == 0
    step(model, optimizer)
    first.report(1, 0.5)
    other = parts()
    again, _ = context(tmp_path)
    assert again.keep(*other) == 1
    for each in ((model, optimizer), other):
        step(*each)  # with the momentum of the first step
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other[0].parameters(), strict=True))
    with pytest.raises(ConfigurationError, match="keep: expected 2 objects, as when they were saved; got 1"):
        again.keep(model)
    with pytest.raises(ConfigurationError, match="keep: expected objects with state_dict .* got 3"):
        again.keep(model, 3)  # type: ignore[arg-type]


def test_candidates_that_are_never_paused_are_not_saved(tmp_path: Path) -> None:
    whole, reported = context(tmp_path, steps=None)
    whole.keep(torch.nn.Linear(2, 1))
    whole.report(1, 0.5)
    assert (list(tmp_path.iterdir()), len(reported)) == ([], 1)
