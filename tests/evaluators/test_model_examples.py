"""The examples in the docstrings of the models run."""

from __future__ import annotations

import doctest

import pytest

from archsearch import evaluators


@pytest.mark.parametrize("name", ["GHN", "NGAE", "OneShot", "Predictor", "SGDSteps"])
def test_example(name: str) -> None:
    [example] = doctest.DocTestFinder(recurse=False).find(getattr(evaluators, name), name)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
