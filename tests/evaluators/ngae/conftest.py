"""Fixtures of the tests of the auto-encoder: small models, graphs of a space, and the equations for one graph at a time."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from archsearch.evaluators.ngae.grammar import Grammar
from archsearch.evaluators.ngae.graphs import Graphs, from_batch
from archsearch.evaluators.ngae.model import GraphVAE
from archsearch.evaluators.ngae.settings import PRESETS, Settings
from archsearch.spaces import SearchSpace

SMALL = {"width": 12, "type_width": 10, "edge_width": 11, "latent": 6}
Made = tuple[GraphVAE, Grammar, Graphs]


@pytest.fixture(scope="session")
def small() -> Settings:
    return PRESETS["default"].with_changes(**SMALL, head=(7,))


@pytest.fixture(params=["default", "paper", "authors"])
def preset(request: pytest.FixtureRequest) -> Settings:
    """The settings of a preset with small sizes."""
    settings = PRESETS[request.param]
    return settings.with_changes(**SMALL, head=tuple(7 - number for number in range(len(settings.head))))


@pytest.fixture(scope="session")
def one() -> ModuleType:
    """The module `one_at_a_time`, which lies beside the tests."""
    spec = importlib.util.spec_from_file_location("one_at_a_time", Path(__file__).with_name("one_at_a_time.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made() -> Callable[[SearchSpace, Settings, int], Made]:
    """Makes a model in double precision with random weights, the rules of a space, and some graphs of it."""

    def make(space: SearchSpace, settings: Settings, number: int) -> Made:
        grammar = Grammar.of(space, samples=1000)
        rng = np.random.default_rng(3)
        graphs = from_batch(space.encode([space.sample(rng) for _ in range(number)]), grammar.vertices)
        grammar = grammar.widened(graphs)
        model = GraphVAE(grammar, space.num_inputs, settings, torch.Generator().manual_seed(0)).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)  # decisions that differ between points
        return model, grammar, graphs

    return make
