"""The global random generators of Python, NumPy and PyTorch: a seed for a part of a function, and their states afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from archsearch.evaluators.seeds import derived_seed


def seed_generators(*parts: object) -> None:
    """Seed the generators of Python, NumPy and PyTorch (those of GPUs too) with the hash of `parts`."""
    seed = derived_seed(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def generators_restored() -> Iterator[None]:
    """Give the generators the states that they had before the block, at its end."""
    gpus = torch.cuda.is_initialized()
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    before = torch.cuda.get_rng_state_all() if gpus else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(before)
