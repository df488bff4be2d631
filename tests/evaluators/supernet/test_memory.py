from __future__ import annotations

import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.memory import StepMemory, step_memory


def test_memory_grows_with_operators_and_batch() -> None:
    space, scale = spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}
    small = step_memory(space, (3, 8, 8), 16, **scale)
    assert 3 * small.path < small.mixed < 8 * small.path
    double = step_memory(space, (3, 8, 8), 32, **scale)
    assert (double.mixed, double.path) == (2 * small.mixed, pytest.approx(2 * small.path, rel=1e-4))


def test_spaces_without_places_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="places"):
        step_memory(spaces.get("nasbench101"), (3, 8, 8), 16)


def test_a_step_that_does_not_fit_is_refused() -> None:
    memory = StepMemory(mixed=2**62, path=2**60)
    with pytest.raises(ConfigurationError, match="batch_size: expected one whose mixed step fits.*4.0 times.*take enas"):
        memory.check(64, torch.device("cpu"))
    StepMemory(1, 1).check(64, torch.device("cpu"))
