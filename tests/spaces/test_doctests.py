"""The examples in the docstrings of spaces run as they are."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from archsearch import spaces

MODULES = [module.name for module in pkgutil.walk_packages(spaces.__path__, "archsearch.spaces.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module(name: str) -> None:
    """Names come from the imports of an example, not from its module."""
    assert doctest.testmod(importlib.import_module(name), globs={}).failed == 0


@pytest.mark.parametrize("name", [name for name in spaces.__all__ if isinstance(getattr(spaces, name), type)])
def test_each_public_class_has_an_example(name: str) -> None:
    assert ">>> " in (getattr(spaces, name).__doc__ or "")
