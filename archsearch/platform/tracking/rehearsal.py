"""A rehearsal of what a search does in MLflow: a run with a parameter, a metric and a file, which is deleted again."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, first_line
from archsearch.platform.tracking.store import check_tracking, shown_uri, tracking_uri

_NAME = "archsearch-check"
_SQLITE = "sqlite:///"


def check_logging(tracking: str = "auto", storage: str | Path = "runs") -> str:
    """Raise ConfigurationError unless MLflow takes what a search logs; return its URI without user name and password.

    To a server a run is logged in an experiment of its own, and both are deleted. A SQLite file, in which deleted runs would
    stay, is written to in a transaction that is rolled back; one that does not exist yet is not made.

    Args:
        tracking: MLflow tracking URI, or `auto`.
        storage: Storage of the run.

    Raises:
        ConfigurationError: The server does not answer, or the store refuses a run, a metric or a file.
    """
    shown = check_tracking(tracking, storage)
    uri = tracking_uri(tracking, storage)
    try:
        if uri.startswith(_SQLITE):
            _check_file(Path(uri.removeprefix(_SQLITE)), uri)
        elif uri.startswith(("http://", "https://")):
            _log(uri)
        else:
            _check_folder(Path(uri.removeprefix("file://")))
    except Exception as error:  # those of MLflow, SQLAlchemy, sqlite3 and the file system
        raise ConfigurationError(
            f"tracking: a search could not log to {shown_uri(uri)} ({first_line(error)}); mend that, or give another "
            "--tracking URI, or --tracking off."
        ) from error
    return shown


def _check_file(path: Path, uri: str) -> None:
    """Raise an error unless the database can be written, and has the tables of this MLflow or none yet."""
    if not path.exists():
        _check_folder(path.parent)
        return
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE archsearch_check (x INTEGER)")
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'experiments'").fetchone()[0]
        connection.rollback()
    if tables:
        _client(uri).search_experiments(max_results=1)  # refuses tables of another version


def _check_folder(folder: Path) -> None:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    with tempfile.TemporaryFile(dir=existing) as file:
        file.write(b"written by MLflow, too")


def _log(uri: str) -> None:
    client = _client(uri)
    experiment = client.create_experiment(f"{_NAME}-{uuid.uuid4().hex}")
    try:
        run = client.create_run(experiment, run_name=_NAME).info.run_id
        client.log_param(run, "check", "written and deleted")
        client.log_metric(run, "check", 1.0)
        client.log_text(run, "written and deleted", "check.txt")
        client.delete_run(run)
    finally:
        with suppress(Exception):
            client.delete_experiment(experiment)


def _client(uri: str) -> Any:
    from mlflow import MlflowClient  # it takes seconds

    return MlflowClient(uri)
