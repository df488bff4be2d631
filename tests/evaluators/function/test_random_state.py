"""Global generators: the same parts give the same numbers, and a block leaves no trace."""

from __future__ import annotations

import random

import numpy as np
import torch

from archsearch.evaluators.function.random_state import generators_restored, seed_generators


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_equal_parts_give_equal_numbers() -> None:
    with generators_restored():
        seed_generators(3, "step", 1)
        first = drawn()
        seed_generators(3, "step", 2)
        second = drawn()
        seed_generators(3, "step", 1)
        assert drawn() == first
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_block_leaves_no_trace() -> None:
    with generators_restored():
        seed_generators("start")
        with generators_restored():
            seed_generators("other")
            drawn()
        after = drawn()
        seed_generators("start")
        assert drawn() == after
