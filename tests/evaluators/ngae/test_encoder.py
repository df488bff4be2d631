from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.ngae.settings import Settings

CASES = [
    *((name, "default") for name in ("enas", "nasbench101", "nasbench201", "nasnet", "cells")),
    *((name, preset) for name in ("enas", "nasbench101") for preset in ("paper", "authors")),
]

Make = Callable[..., Any]


@pytest.mark.parametrize(("name", "preset"), CASES, indirect=["preset"])
def test_encoder_equals_one_graph_at_a_time(name: str, preset: Settings, made: Make, one: ModuleType) -> None:
    space = spaces.get(name)
    model, _, graphs = made(space, preset, 4)
    means, log_variances = model.encoder(graphs)
    for row in range(4):
        mean, log_variance = one.one_encoding(model, graphs, row, space.num_inputs, preset)
        assert torch.allclose(means[row], mean, atol=1e-12)
        assert torch.allclose(log_variances[row], log_variance, atol=1e-12)


@pytest.mark.parametrize("preset", ["paper"], indirect=True)
def test_the_paper_reads_the_output_alone(made: Make, preset: Settings) -> None:
    model, _, _ = made(spaces.get("enas"), preset, 1)
    assert model.encoder.read_weight.shape[0] == preset.width
    assert not [name for name, _ in model.encoder.named_parameters() if "backward" in name or "places" in name]
