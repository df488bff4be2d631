from __future__ import annotations

import math
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


@pytest.mark.parametrize(("name", "preset"), CASES, indirect=["preset"])
def test_loss_equals_one_decision_at_a_time(name: str, preset: Settings, made: Callable[..., Any], one: ModuleType) -> None:
    model, grammar, graphs = made(spaces.get(name), preset, 3)
    latents = torch.randn(3, preset.latent, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    losses = model.decoder.loss(latents, graphs, grammar)
    for row in range(3):
        expected = one.one_reconstruction(model, grammar, graphs, latents[row], row, preset)
        assert math.isclose(losses[row].item(), expected.item(), rel_tol=1e-10)
