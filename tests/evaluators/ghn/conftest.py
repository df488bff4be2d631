"""Fixtures of the tests of graph hypernetworks: small networks of each space, and a slow reference of the propagation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    """Small networks of each space."""
    return _loaded("worlds")


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The slow reference of the propagation."""
    return _loaded("plain")


@pytest.fixture(scope="session")
def skewed() -> ModuleType:
    """Images of skewed or mirrored classes."""
    return _loaded("skewed")


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ghn_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
