"""Functions by their reference."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.function.reference import function_text, imported_function, reference_to_function


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_training.py").write_text("import math\n\ndef train(model, context): return 1.0\ntrain_again = train\n")
    (tmp_path / "my_needy_training.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "my_broken_training.py").write_text("1 / 0\n")
    (tmp_path / "my_empty_training.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("my_") and name.endswith("_training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "my_training", raising=False)


def test_function_and_back() -> None:
    function = imported_function("python:my_training:train")
    assert function(None, None) == 1.0
    assert reference_to_function(function) == function_text(function) == "python:my_training:train"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("python:my_training", "evaluator: expected python:MODULE:FUNCTION, such as python:my_training:train; got"),
        ("python:my_training.py:train", "without folder and .py"),
        ("python:my_training:trian", "evaluator: the module my_training has no 'trian'. Did you mean 'train'?"),
        ("python:my_training:zzz", "has no 'zzz'. Its functions: train, train_again"),
        ("python:my_empty_training:train", "has no 'train'. It has no function"),
        ("python:my_trainin:train", "evaluator: there is no module 'my_trainin' in .* Did you mean 'my_training'"),
        ("python:my_needy_training:train", "needs 'no_such_package_at_all', which is not installed"),
        ("python:my_broken_training:train", "evaluator: the module my_broken_training cannot be imported .ZeroDivisionError"),
    ],
)
def test_references_without_a_function(reference: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        imported_function(reference)


def test_functions_that_other_processes_cannot_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def inner(model: object, context: object) -> float: ...

    assert reference_to_function(inner) is None
    assert function_text(inner) == "inner (test_reference.py)"
    function = imported_function("python:my_training:train")
    monkeypatch.setattr(function, "__module__", "__main__")
    assert function_text(function) == "train (my_training.py)"
