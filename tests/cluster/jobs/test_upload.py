"""What a job takes along: the package and the settings, and nothing that lies beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cluster.jobs.upload import Upload, package_files
from archsearch.errors import ConfigurationError


def make(folder: Path, *names: str, size: int = 3) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)


def test_the_package_is_sent_with_its_data() -> None:
    files = package_files()
    for name in ("archsearch/__main__.py", "archsearch/py.typed", "archsearch/evaluators/tables/digits201.parquet"):
        assert files[name].is_file()
    assert not [name for name in files if name.endswith(".pyc")]


def test_results_environments_and_caches_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "__init__.py", "tables/a.parquet")
    make(tmp_path, "runs/a/run.yaml", ".venv/lib/x.py", "mlflow.db", "mlruns/0/meta.yaml", "__pycache__/a.pyc", "search.log")
    make(tmp_path, "rooms/__pycache__/a.pyc", ".hidden", "rooms/.cache/a")
    assert list(package_files(tmp_path)) == ["archsearch/__init__.py", "archsearch/tables/a.parquet"]


def test_what_is_too_large_is_refused_with_the_largest_files(tmp_path: Path) -> None:
    make(tmp_path, "small.py")
    make(tmp_path, "data/images.npy", size=7_000_000)
    make(tmp_path, "table.parquet", size=2_000_000)
    upload = Upload(package_files(tmp_path), {})
    upload.check(limit=9_000_003)
    message = r"expected at most 9 MB; got 9.0 MB in 3 files, the largest being archsearch/data/images.npy \(7.0 MB\), "
    with pytest.raises(ConfigurationError, match=message + r"archsearch/table.parquet \(2.0 MB\), .*small.py"):
        upload.check(limit=9_000_002)


def test_the_package_itself_is_far_below_the_limit() -> None:
    upload = Upload(package_files(), {"search.yaml": "seed: 1\n"})
    upload.check()
    assert f"{len(upload.package)} files" in upload.listing()
    assert "search.yaml: 8 bytes" in upload.listing()


def test_what_is_staged_is_what_was_listed_and_runs(tmp_path: Path) -> None:
    upload = Upload(package_files(), {"search.yaml": "seed: 1\n"})
    package, working = upload.stage(tmp_path)
    staged = {f"archsearch/{path.relative_to(package).as_posix()}": path for path in package.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in staged.items()} == {
        name: path.read_bytes() for name, path in upload.package.items()
    }
    assert [path.read_text() for path in working.iterdir()] == ["seed: 1\n"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    program = "import archsearch.spaces; print(archsearch.__file__, archsearch.spaces.get('nasbench201').size)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=working, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(package / "__init__.py"), "15625"]


def test_further_files_lie_in_the_working_directory(tmp_path: Path) -> None:
    make(tmp_path, "scores.parquet", size=5)
    upload = Upload({}, {"search.yaml": "x"}, {"learned/1/scores.parquet": tmp_path / "scores.parquet"})
    assert upload.sizes == {"learned/1/scores.parquet": 5, "search.yaml": 1}
    assert "learned/1/scores.parquet: 5 bytes" in upload.listing()
    _, working = upload.stage(tmp_path / "staged")
    assert (working / "learned/1/scores.parquet").read_bytes() == b"xxxxx"
