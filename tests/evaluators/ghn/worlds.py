"""Small networks of each space, for the tests of graph hypernetworks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from archsearch import spaces
from archsearch.evaluators.ghn.model import GraphHyperNetwork
from archsearch.evaluators.ghn.modules import MODULE_PATTERNS, Layout, lay_out
from archsearch.evaluators.ghn.settings import Settings, settings_of
from archsearch.evaluators.ghn.vocabulary import survey
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells

SHAPE = (1, 8, 8)
CLASSES = 10
SPACES: Mapping[str, tuple[SearchSpace, Mapping[str, int]]] = {
    "cells": (Cells(5), {"blocks": 3, "channels": 4}),
    "nasbench201": (spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}),
    "nasbench101": (spaces.get("nasbench101"), {"channels": 8, "cells_per_stack": 1}),
    "enas": (spaces.get("enas"), {"channels": 4}),
    "anytime": (Anytime((4, 3, 2), exit_probability=0.5), {"channels": 4}),
    "nasnet": (spaces.get("nasnet"), {"channels": 2, "cells": 3}),
}


@cache
def samples(name: str, number: int = 5, seed: int = 0) -> tuple[Architecture, ...]:
    rng = np.random.default_rng(seed)
    return tuple(SPACES[name][0].sample(rng) for _ in range(number))


def layout_of(name: str, architecture: Architecture, output_node: bool = True) -> Layout:
    space, scale = SPACES[name]
    pattern = MODULE_PATTERNS.get(name, "")
    return lay_out(space.plan(architecture, CLASSES, SHAPE[0], **scale), SHAPE, pattern, output_node)


def layouts(name: str, number: int = 5, seed: int = 0, output_node: bool = True) -> list[Layout]:
    return [layout_of(name, architecture, output_node) for architecture in samples(name, number, seed)]


@cache
def _vocabulary(name: str, sliced: bool) -> Any:
    return survey(SPACES[name][0], lambda architecture: layout_of(name, architecture), sliced)


def model(name: str, seed: int = 0, preset: str | None = None, **changes: Any) -> GraphHyperNetwork:
    """Return a small hypernetwork; with a preset it has the preset's settings but for its sizes."""
    settings = Settings(propagations=2) if preset is None else settings_of(preset, "digits")
    settings = settings.with_changes(hidden=8, width=12, tile=3).with_changes(**changes)
    vocabulary = _vocabulary(name, settings.sliced_kernels)
    return GraphHyperNetwork(vocabulary, settings, torch.Generator().manual_seed(seed))
