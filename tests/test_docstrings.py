"""Examples in docstrings: each public class of the searchers and the evaluators has one, and those of three packages run.

Examples of the platform and the cluster start Ray or train for minutes; docs and `examples/` are tested in their place.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest

import archsearch

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public_classes() -> list[str]:
    names = []
    for package in ("archsearch.searchers", "archsearch.evaluators"):
        module = importlib.import_module(package)
        names += [f"{package}.{name}" for name in module.__all__ if inspect.isclass(getattr(module, name))]
    return names


def modules_with_examples() -> list[str]:
    """Names of the modules whose source has an example."""
    found = []
    for module in pkgutil.walk_packages(archsearch.__path__, "archsearch."):
        if module.name.startswith(("archsearch.platform", "archsearch.cluster")):
            continue
        spec = importlib.util.find_spec(module.name)
        if spec is not None and spec.origin is not None and ">>>" in Path(spec.origin).read_text():
            found.append(module.name)
    return found


@pytest.mark.parametrize("name", public_classes())
def test_a_public_class_has_an_example(name: str) -> None:
    package, _, attribute = name.rpartition(".")
    described = getattr(importlib.import_module(package), attribute)
    assert ">>>" in (described.__doc__ or ""), f"{name}: add an Example section of about two lines to its docstring"


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert outcome.attempted > 0
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} lines of examples fail; see the output"
