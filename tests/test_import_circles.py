"""No modules import each other in a circle, and no neighbouring packages do.

Imports under `TYPE_CHECKING` and inside functions count. One kind of import does not: that of a package's `__init__.py` from the
package's own modules. There it re-exports names lazily, and each module that imports such a name from the package would
otherwise stand in a circle with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGE = "archsearch"

Imports = Mapping[str, set[str]]
"""For each module, those that it imports."""


@pytest.fixture(scope="module")
def imports() -> Imports:
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    return {
        module: {other for other in graph.find_modules_directly_imported_by(module) if not other.startswith(f"{module}.")}
        for module in graph.modules
    }


def circle(imports: Imports) -> list[str]:
    """Return the modules of one circle, each imported by the one after it; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_modules_import_each_other(imports: Imports) -> None:
    assert circle(imports) == []


def test_no_neighbours_import_each_other(imports: Imports) -> None:
    """The modules and packages of one folder, each package taken as one, have an order as well."""
    packages = {module.rpartition(".")[0] for module in imports} - {""}
    for package in sorted(packages):
        depth = package.count(".") + 2
        neighbours: dict[str, set[str]] = {}
        for module, others in imports.items():
            if module.startswith(f"{package}."):
                importer = ".".join(module.split(".")[:depth])
                imported = {".".join(other.split(".")[:depth]) for other in others if other.startswith(f"{package}.")}
                neighbours.setdefault(importer, set()).update(imported - {importer})
        assert circle(neighbours) == []


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
