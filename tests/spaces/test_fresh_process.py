"""Expressions on pickled objects in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.spaces.cost import Cost
from archsearch.spaces.fresh_process import in_fresh_process


def test_the_object_is_the_same_and_the_process_is_another() -> None:
    params, process = in_fresh_process(Cost(params=3, macs=4), "[subject.params, importlib.import_module('os').getpid()]")
    assert params == 3
    assert process != os.getpid()


def test_strings_have_another_hash() -> None:
    command = [sys.executable, "-c", "print(hash('conv3x3'))"]
    seeded = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    assert in_fresh_process(Cost(0, 0), "hash('conv3x3')") != int(seeded.stdout)


def test_classes_of_files_off_the_import_path_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hidden_space.py").write_text("class Hidden:\n    answer = 42\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        from hidden_space import Hidden  # type: ignore[import-not-found]
    assert in_fresh_process(Hidden(), "subject.answer") == 42


def test_what_fails_shows_its_traceback() -> None:
    with pytest.raises(AssertionError, match="AttributeError: 'Cost' object has no attribute 'color'"):
        in_fresh_process(Cost(0, 0), "subject.color")
