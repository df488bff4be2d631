"""The documentation builds without warnings and has every public name; its links and its map of the packages lead to files."""

from __future__ import annotations

import html
import importlib
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archsearch
import archsearch.errors

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted([*(path.name for path in (ROOT / "examples").glob("own_*.py")), "diabetes.py"])
PACKAGES = [name for name in archsearch.__all__ if name.islower() and not name.startswith("_")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(site: Path, package: str) -> None:
    page = (site / "reference" / f"{package}.html").read_text()
    module = importlib.import_module(f"archsearch.{package}")
    assert [name for name in module.__all__ if f'id="archsearch.{package}.{name}"' not in page] == []


def test_the_reference_has_every_error(site: Path) -> None:
    page = (site / "reference" / "archsearch.html").read_text()
    kinds = [name for name, kind in vars(archsearch.errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert "RunError" in kinds
    assert [name for name in kinds if f'id="archsearch.errors.{name}"' not in page] == []


def test_pages_need_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert re.findall(r'<(?:script|img)[^>]+src="https?:[^"]+"|<link[^>]+stylesheet[^>]+href="https?:[^"]+"', page) == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_stand_in_the_pages(site: Path, example: str) -> None:
    [docstring] = re.findall(r'^"""(.+)', (ROOT / "examples" / example).read_text())
    words = docstring.split(".")[0].rstrip('"')
    assert any(words in html.unescape(re.sub("<[^>]+>", "", page.read_text())) for page in site.glob("own-*.html"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_code_in_the_pages_is_that_of_the_examples(example: str) -> None:
    """Pages are read as Markdown too, where the inclusion of a file would show its name alone."""
    blocks = [
        block
        for page in (ROOT / "docs").glob("*.md")
        for block in re.findall(rf"<!-- examples/{re.escape(example)} -->\n```python\n(.*?)\n```", page.read_text(), re.DOTALL)
    ]
    assert blocks == [(ROOT / "examples" / example).read_text().rstrip()]


def test_every_link_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    found = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())]
    assert len(found) > 20
    assert [(page.name, link) for page, link in found if not (page.parent / link).exists()] == []


def paths_in_the_table(heading: str) -> set[str]:
    """Return the files and folders that the first table of docs/design.md after a line names."""
    _, after = (ROOT / "docs" / "design.md").read_text().split(f"\n{heading}\n", 1)
    table = "\n".join(itertools.takewhile(lambda line: line.startswith("|"), after.lstrip().splitlines()))
    return set(re.findall(r"`([\w/]+(?:/|\.py))`", table))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_names_every_folder_of_a_package_and_only_files_that_exist(package: str) -> None:
    named = paths_in_the_table(f"### `archsearch.{package}`")
    there = {path.relative_to(ROOT / "archsearch" / package) for path in (ROOT / "archsearch" / package).rglob("*")}
    assert {name for name in named if not any(path.match(name) for path in there)} == set()
    folders = {f"{path}/" for path in there if len(path.parts) == 1 and not path.suffix and path.name != "__pycache__"}
    assert folders - named == set()


@pytest.mark.parametrize(
    ("folder", "heading"),
    [
        ("cluster/pool", "files of `cluster/pool`:"),
        ("evaluators/ngae", "`evaluators/ngae` has one concept per file:"),
        ("evaluators/ghn", "`evaluators/ghn` goes from a network to its score in this order:"),
    ],
)
def test_the_map_has_every_file_of_a_folder(folder: str, heading: str) -> None:
    assert paths_in_the_table(heading) | {"__init__.py"} == {path.name for path in (ROOT / "archsearch" / folder).glob("*.py")}
