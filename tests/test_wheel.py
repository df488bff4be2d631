"""The wheel and the source distribution: small, with all data files, and the wheel runs where there is no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
START = """
import sys, archsearch
from archsearch.platform.command_line import main
print(archsearch.__file__, flush=True)
sys.exit(main())
"""
DATA = (".json", ".parquet", ".typed")

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, and the wheel built from it; needs the package index for the build tools."""
    folder, source = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    # A copy, so that no build folder of an earlier day has a part in it.
    shutil.copytree(REPOSITORY / "archsearch", source / "archsearch", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(source)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [found] = built.glob("*.whl")
    return found


def test_the_source_distribution_has_all_that_the_wheel_is_made_of(built: Path) -> None:
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "archsearch/py.typed"} <= names
    assert path.stat().st_size < 3_000_000


def test_it_holds_the_package_whole_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for path in (REPOSITORY / "archsearch").rglob("*") if path.suffix in (".py", *DATA)]
    assert names == {str(path.relative_to(REPOSITORY)) for path in files}
    assert wheel.stat().st_size < 3_000_000


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    package = tmp_path / "a folder" / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(package), str(wheel)]
    subprocess.run(command, check=True)
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", START, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(package)), "the installed package runs, not the checkout"
        return done.stdout

    listed = run("spaces")
    assert "nasbench201" in listed and "digits201" in listed
    storage = tmp_path / "runs ü"
    for name, evaluator in (("table", "table:digits201"), ("digits", "train:digits")):
        what = ("--searcher", "random", "--space", "nasbench201", "--evaluator", evaluator, "--candidates", "2")
        run("run", *what, "--tracking", "off", "--storage", str(storage), "--name", name)
        assert (storage / name / "report" / "report.html").is_file()
