"""Objects are found by `module:NAME`, and what is not there is named."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.named_object import named_object


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the working directory hold modules."""
    (tmp_path / "package_of_names").mkdir()
    (tmp_path / "package_of_names" / "__init__.py").write_text("")
    (tmp_path / "package_of_names" / "deep.py").write_text("class Outer:\n    class Inner:\n        value = 5\n")
    (tmp_path / "raises_when_imported.py").write_text("raise ValueError('bad\\nweather')")
    (tmp_path / "ends_when_imported.py").write_text("import nothing_of_that_name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    importlib.invalidate_caches()


def test_modules_of_the_working_directory_and_of_python_are_found() -> None:
    before = list(sys.path)
    assert named_object("thing", "package_of_names.deep:Outer.Inner.value", "a number") == 5
    assert named_object("thing", "json:loads", "a function")("3") == 3
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("json", "thing: expected module:NAME, a function"),
        ("json:", "expected module:NAME"),
        (":loads", "expected module:NAME"),
        ("a b:c", "expected module:NAME"),
        ("../json:loads", "expected module:NAME"),
        ("json:dumpz", "the module 'json' has no 'dumpz', a function. Did you mean 'dump"),
        ("json:loads.inner", "has no 'loads.inner'"),
        ("nowhere_at_all:x", "cannot import the module 'nowhere_at_all' of 'nowhere_at_all:x' .ModuleNotFoundError"),
        ("raises_when_imported:x", "ValueError: bad weather"),
        ("ends_when_imported:x", "nothing_of_that_name"),
    ],
)
def test_what_is_not_there_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        named_object("thing", text, "a function")
