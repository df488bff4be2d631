"""The documentation builds without warnings, has every public name, and the links of the README lead somewhere."""

from __future__ import annotations

import html
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archsearch
import archsearch.errors

ROOT = Path(__file__).parent.parent
ROOMS = [name for name in archsearch.__all__ if name.islower() and not name.startswith("_")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("room", ROOMS)
def test_the_reference_has_every_public_name(site: Path, room: str) -> None:
    page = (site / "reference" / f"{room}.html").read_text()
    module = importlib.import_module(f"archsearch.{room}")
    assert [name for name in module.__all__ if f'id="archsearch.{room}.{name}"' not in page] == []


def test_the_reference_has_every_error(site: Path) -> None:
    page = (site / "reference" / "archsearch.html").read_text()
    kinds = [name for name, kind in vars(archsearch.errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert "RunError" in kinds
    assert [name for name in kinds if f'id="archsearch.errors.{name}"' not in page] == []


def test_pages_need_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert re.findall(r'<(?:script|img)[^>]+src="https?:[^"]+"|<link[^>]+stylesheet[^>]+href="https?:[^"]+"', page) == []


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("own_*.py")))
def test_examples_stand_in_the_pages(site: Path, example: str) -> None:
    [docstring] = re.findall(r'^"""(.+)', (ROOT / "examples" / example).read_text())
    words = docstring.split(".")[0].rstrip('"')
    assert any(words in html.unescape(re.sub("<[^>]+>", "", page.read_text())) for page in site.glob("own-*.html"))


def test_every_link_of_the_texts_leads_to_a_file() -> None:
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    found = [(text, link) for text in texts for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text.read_text())]
    assert len(found) > 20
    assert [(text.name, link) for text, link in found if not (text.parent / link).exists()] == []
