"""MLflow is asked to take what a search logs, before the search."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.platform.tracking.rehearsal import check_logging


def test_a_database_that_can_be_written_is_fine_and_stays_as_it_is(tmp_path: Path, mlflow_store: Path) -> None:
    path = Path(shutil.copy(mlflow_store, tmp_path / "mlflow.db"))
    before = path.read_bytes()
    assert check_logging(f"sqlite:///{path}") == f"sqlite:///{path}"
    assert path.read_bytes() == before
    assert check_logging(f"sqlite:///{tmp_path}/new/mlflow.db")
    assert [each.name for each in tmp_path.iterdir()] == ["mlflow.db"]


def test_files_that_are_no_database_of_this_mlflow_are_refused(tmp_path: Path, mlflow_store: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(ConfigurationError, match="tracking: a search could not log to sqlite:.*file is not a database"):
        check_logging(f"sqlite:///{tmp_path}/text.db")
    other = Path(shutil.copy(mlflow_store, tmp_path / "other.db"))
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    with pytest.raises(ConfigurationError, match="tracking: a search could not log .*or --tracking off"):
        check_logging(f"sqlite:///{other}")


@pytest.mark.slow
def test_a_locked_or_unreachable_place_is_refused(tmp_path: Path, mlflow_store: Path) -> None:
    with pytest.raises(ConfigurationError, match="could not log to sqlite:////proc/self/mlflow.db"):
        check_logging("sqlite:////proc/self/mlflow.db")
    path = Path(shutil.copy(mlflow_store, tmp_path / "mlflow.db"))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match="database is locked"):
            check_logging(f"sqlite:///{path}")
