"""Spaces of the user's own modules."""

from __future__ import annotations

import pickle
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.spaces.imported import imported_space, module_of, reference_to
from archsearch.spaces.nasbench201 import NASBench201

SOURCE = """
    from archsearch.spaces import GeneSpace, get
    from archsearch.spaces.nasbench201 import NASBench201
    from archsearch.spaces.enas import ENAS

    class Mine(NASBench201):
        name = "mine"

    class Wide(NASBench201):
        name = "wide"
        def __init__(self, width):
            self.width = width

    class Nameless(NASBench201):
        name = ""

    class Bare(NASBench201):
        operators = ()

    class Letters(NASBench201):
        operators = "conv"

    class Half(GeneSpace):
        name = "half"

    def made():
        return Mine()

    def nothing():
        return None

    def broken():
        raise OSError("no disk")

    twelve = ENAS(12)
    number = 3

    import torch
    from torch import nn
    from archsearch.spaces import ModuleSpace

    def built(choose):
        return nn.Linear(3, choose.one("out", [1, 2]))

    modules = ModuleSpace(built, torch.zeros(1, 3), "modules")
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module `my_spaces` in the current folder."""
    (tmp_path / "my_spaces.py").write_text(textwrap.dedent(SOURCE))
    (tmp_path / "my_broken.py").write_text("import math\nmath.nothing\n")
    (tmp_path / "my_needy.py").write_text("import no_such_package_at_all\n")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "inner.py").write_text(textwrap.dedent(SOURCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    yield
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("python:my_spaces:Mine", "mine"),
        ("python:my_spaces:made", "mine"),
        ("python:my_spaces:twelve", "enas12"),
        ("python:my_package.inner:Mine", "mine"),
        ("python:my_package.inner:modules", "modules"),
        ("python:archsearch.spaces.nasbench201:NASBench201", "nasbench201"),
    ],
)
def test_a_class_a_function_and_a_space_of_a_module(reference: str, name: str) -> None:
    assert spaces.get(reference).name == name


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("python:my_spaces:Mien", "has no 'Mien'. Did you mean 'Mine'?"),
        ("python:my_spaces:Zzzz", "has no 'Zzzz'. Its spaces: "),
        ("python:my_space:Mine", "there is no module 'my_space' in .* Did you mean 'my_spaces'?"),
        ("python:my_package.outer:Mine", "there is no module 'my_package.outer'"),
        ("python:my_needy:Mine", "needs 'no_such_package_at_all', which is not installed"),
        ("python:my_broken:Mine", "cannot be imported .AttributeError"),
        ("python:my_spaces:number", "to be a search space, its class, or a function .* it is 3"),
        ("python:my_spaces:Half", "Half of my_spaces is not complete, it lacks cells, choices, genes"),
        ("python:my_spaces:Wide", r"Wide\(\) failed .TypeError.*write a space with these arguments into the module"),
        ("python:my_spaces:Nameless", "expected a name in the class Nameless, such as name = 'chain'; got ''"),
        ("python:my_spaces:Bare", "expected the names of all operators of its graphs in the class Bare, such as .* got ()"),
        ("python:my_spaces:Letters", "expected the names of all operators of its graphs in the class Letters, .* got 'conv'"),
        ("python:my_spaces:broken", r"broken\(\) failed .OSError: no disk"),
        ("python:my_spaces:nothing", "it returned None"),
        ("python:my_spaces:built", r"builds a module; write space = ModuleSpace\(built, .*python:my_spaces:space"),
        ("python:my_spaces", "expected python:MODULE:CLASS, such as python:my_spaces:Chain; got 'python:my_spaces'"),
        ("python:my_spaces.py:Mine", "without folder and .py"),
        ("python:folder/my_spaces:Mine", "without folder and .py"),
        ("python::Mine", "expected python:MODULE:CLASS"),
        ("python:pathlib:Path", "the class Path, which is not derived from SearchSpace"),
    ],
)
def test_what_is_no_space_is_refused_and_named(reference: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^space: .*{words}"):
        imported_space(reference)


def test_only_a_space_that_another_process_can_make_has_a_reference() -> None:
    assert reference_to(imported_space("python:my_spaces:Mine")) == "python:my_spaces:Mine"
    assert reference_to(NASBench201()) == "python:archsearch.spaces.nasbench201:NASBench201"
    assert reference_to(sys.modules["my_spaces"].Wide(3)) is None  # it takes an argument

    assert reference_to(imported_space("python:my_spaces:modules")) == "python:my_spaces:modules"
    assert reference_to(pickle.loads(pickle.dumps(imported_space("python:my_spaces:modules")))) == "python:my_spaces:modules"

    class Local(NASBench201):
        name = "local"

    assert reference_to(Local()) is None
    assert module_of("python:a.b:C") == "a.b"


def test_an_unknown_name_tells_of_this_form() -> None:
    with pytest.raises(ConfigurationError, match="A space of your own: python:MODULE:CLASS"):
        spaces.get("nasbench2")
