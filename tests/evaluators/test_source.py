"""The digest of a source: equal for equal sources, another one for each change of what the function does."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch.evaluators.source import defined_in, source_digest

MODULE = """
import functools
import math

RATE = 0.1
SIZES = {"small": (1, 2), "large": (3, 4)}
UNUSED = 5


class Net:
    width = 3

    def forward(self):
        return inner(RATE)


def inner(x):
    return math.sqrt(x) + len(SIZES)


def other():
    return UNUSED


def train(model, context):
    return [Net() for _ in range(2)]


def maker(rate):
    def train(model, context):
        return rate

    return train
"""
COUNT = itertools.count()


def loaded(folder: Path, text: str) -> Any:
    path = folder / f"module{next(COUNT)}.py"
    path.write_text(text)
    specification = importlib.util.spec_from_file_location("same_name", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["same_name"] = module  # where the source of classes is looked for
    specification.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def modules_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "same_name", sys)


def test_changes_of_what_the_function_names_change_it(tmp_path: Path) -> None:
    digest = source_digest(loaded(tmp_path, MODULE).train)
    assert len(digest) == 16
    assert source_digest(loaded(tmp_path, MODULE).train) == digest
    for before, after in (
        ("range(2)", "range(3)"),
        ("width = 3", "width = 4"),
        ("RATE = 0.1", "RATE = 0.2"),
        ("(3, 4)", "(3, 5)"),
        ("math.sqrt(x)", "math.log(x)"),
    ):
        assert source_digest(loaded(tmp_path, MODULE.replace(before, after)).train) != digest, before
    assert source_digest(loaded(tmp_path, MODULE.replace("UNUSED = 5", "UNUSED = 6")).train) == digest
    assert source_digest(loaded(tmp_path, "# moved down\n" + MODULE).train) == digest


def test_functions_inside_others_have_what_they_close_over(tmp_path: Path) -> None:
    module = loaded(tmp_path, MODULE)
    digests = [source_digest(module.maker(rate)) for rate in (1, 2, 1)]
    assert digests[0] == digests[2] != digests[1]
    partials = [source_digest(functools.partial(module.maker, rate=rate)) for rate in (1, 2, 1)]
    assert partials[0] == partials[2] != partials[1]


def test_classes_without_source_have_their_instructions() -> None:
    def digest(text: str) -> str:
        names: dict[str, Any] = {"__name__": "nowhere"}
        exec(text, names)
        return source_digest(names["train"])

    text = "class Net:\n    width = 3\n    def forward(self): return 1\ndef train(a, b): return Net()"
    digests = [digest(each) for each in (text, text.replace("= 3", "= 4"), text.replace("n 1", "n 2"), "\n" + text)]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


def test_functions_without_source_have_their_instructions() -> None:
    def made(text: str) -> Callable[..., Any]:
        names: dict[str, Any] = {}
        exec(text, names)
        function: Callable[..., Any] = names["train"]
        return function

    texts = ["def train(a, b): return 1", "def train(a, b): return 2", "def train(a, b): return 1"]
    digests = [source_digest(made(text)) for text in texts]
    assert digests[0] == digests[2] != digests[1]


class Trainer:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, model: Any, context: Any) -> float:
        return self.rate

    def method(self, model: Any, context: Any) -> float:
        return self.rate


def test_objects_and_methods_have_a_digest() -> None:
    assert source_digest(Trainer(1.0)) == source_digest(Trainer(2.0))  # what an object holds is not source
    assert source_digest(Trainer(1.0).method) != source_digest(Trainer(1.0))
    assert source_digest(len)


def test_other_processes_find_the_same(tmp_path: Path) -> None:
    (tmp_path / "same_name.py").write_text(MODULE)
    code = "from archsearch.evaluators.source import source_digest as d; import same_name; print(d(same_name.train))"
    environment = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}", "PYTHONHASHSEED": "7"}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == source_digest(loaded(tmp_path, MODULE).train)


def test_file_of_a_function() -> None:
    assert defined_in(loaded) == defined_in(functools.partial(loaded)) == defined_in(Trainer(1.0)) == "test_source.py"
    assert defined_in(len) == ""
