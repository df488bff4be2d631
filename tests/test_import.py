from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import archsearch


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh process holds after a statement."""
    program = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import archsearch")
    assert "archsearch" in loaded
    assert loaded.isdisjoint({"torch", "ray", "mlflow", "numpy", "optuna", "pyarrow"})


@pytest.mark.parametrize("room", ["spaces", "evaluators"])
def test_models_need_neither_ray_nor_mlflow(room: str) -> None:
    loaded = loaded_by(f"import archsearch.{room}")
    assert loaded.isdisjoint({"ray", "mlflow"})


def test_drawing_and_naming_architectures_needs_no_torch() -> None:
    program = "import numpy; from archsearch import spaces; space = spaces.get('nasbench201')\n"
    program += "architecture = space.sample(numpy.random.default_rng(0)); space.key(architecture); space.encode([architecture])"
    assert "torch" not in loaded_by(program)


def test_rooms_are_loaded_when_first_used() -> None:
    assert archsearch.spaces.get("nasbench201").name == "nasbench201"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'archsearch' has no attribute 'spacs'"):
        archsearch.spacs  # noqa: B018


@pytest.mark.parametrize("room", ["spaces", "evaluators", "cluster", "searchers", "platform"])
def test_no_module_hides_a_name_of_its_room(room: str) -> None:
    """A module that is imported becomes an attribute of its package, in the place of a function of the same name."""
    package = importlib.import_module(f"archsearch.{room}")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    hidden = {name for name in package.__all__ if name in modules and not inspect.ismodule(getattr(package, name))}
    assert not hidden


@pytest.mark.parametrize("package", ["archsearch", *(f"archsearch.{room}" for room in ("evaluators", "cluster", "platform"))])
def test_names_that_are_loaded_later_are_completed(package: str) -> None:
    program = f"import {package}; print(*dir({package}))"
    names = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(importlib.import_module(package).__all__) <= set(names)
