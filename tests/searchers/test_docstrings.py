"""The examples in the docstrings of public searchers run."""

from __future__ import annotations

import doctest
import importlib

import pytest

from archsearch import searchers

CLASSES = [name for name in searchers.__all__ if isinstance(getattr(searchers, name), type)]


@pytest.mark.parametrize("name", CLASSES)
def test_the_example_of_a_public_class_runs(name: str) -> None:
    public = getattr(searchers, name)
    module = importlib.import_module(public.__module__)
    [example] = [each for each in doctest.DocTestFinder(recurse=False).find(public, name, module) if each.examples]
    example.globs = {}
    assert doctest.DocTestRunner().run(example).failed == 0
