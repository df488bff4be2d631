"""Fixtures of the tests of predictors: generators, a slow reference, and populations with renumbered nodes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch.spaces import GraphBatch

Renumber = Callable[[GraphBatch, NDArray[np.int64]], GraphBatch]
Generators = Callable[..., list[torch.Generator]]


@pytest.fixture
def generators() -> Generators:
    """Makes one generator for each seed."""
    return lambda *seeds: [torch.Generator().manual_seed(seed) for seed in seeds or (0,)]


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The slow reference of the predictor."""
    spec = importlib.util.spec_from_file_location("predictors_plain", Path(__file__).with_name("plain.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def renumbered() -> Renumber:
    """Renumbers the nodes of each graph: `order[row, place]` is the node that moves to a place."""

    def renumber(batch: GraphBatch, order: NDArray[np.int64]) -> GraphBatch:
        operators = np.take_along_axis(batch.operators, order[:, None], axis=2)
        edges = np.take_along_axis(batch.adjacency, order[:, None, :, None], axis=2)
        return GraphBatch(batch.vocabulary, operators, np.take_along_axis(edges, order[:, None, None], axis=3))

    return renumber
