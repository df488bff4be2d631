"""`archsearch ui`: the MLflow UI on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from archsearch.errors import ConfigurationError

_READ, _STUDIES = 1000, 10  # runs that are looked at, and studies that are named


def serve(tracking: str = "auto", host: str = "127.0.0.1", port: int = 0, storage: str = "runs") -> int:
    """Run the MLflow UI until Ctrl-C and return its exit code; print the addresses of the UI and of the charts of searches.

    Args:
        tracking: MLflow tracking URI; `auto` takes that of `archsearch run`.
        host: Address to listen on.
        port: Port; 0 takes 5000, or a free one if 5000 is in use.
        storage: Storage of the searches, beside which `auto` looks for the store.

    Raises:
        ConfigurationError: The store is a file that does not exist.
    """
    from archsearch.platform.tracking.store import database_file, tracking_uri

    uri = tracking_uri(tracking, storage)
    if (file := database_file(uri)) is not None and not file.exists():
        # Earlier versions wrote the store into the working directory.
        before = "; the one in this folder is shown by --tracking sqlite:///mlflow.db" if Path("mlflow.db").exists() else ""
        raise ConfigurationError(
            f"tracking: there is no MLflow store at {uri}; run a search first (archsearch run), or give its --storage or "
            f"--tracking{before}."
        )
    if uri.startswith(("http://", "https://")):
        print(f"The MLflow server is at {uri}")
        return 0
    port = port or _free_port(host, 5000)
    # The address selects MLflow's view for model training; the other view is for language-model applications.
    print(f"MLflow:  http://{host}:{port}/#/experiments?workflowType=machine_learning   (stop it with Ctrl-C)", flush=True)
    for name, view in _views(uri):
        print(f"{name}:  http://{host}:{port}/{view}", flush=True)
    for name, view in _studies(uri):
        print(f"study {name}:  http://{host}:{port}/{view}", flush=True)
    # One server process starts within seconds; MLflow's default of four takes several times as long.
    where = ["--host", host, "--port", str(port), "--workers", "1"]
    command = [sys.executable, "-m", "mlflow", "ui", *where]
    # By default a line is logged for each file of a page, which would hide the addresses above.
    # The store is given in the environment: a password on the command line would be shown by ps.
    store = {"MLFLOW_BACKEND_STORE_URI": uri}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_LOG_LEVEL": "warning", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = subprocess.Popen(command, env=quiet | dict(os.environ) | store, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop a server and its child processes, which would outlive it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(5)


def _views(uri: str) -> list[tuple[str, str]]:
    """Return (name, path of the page) of each experiment with a chart that compares searches."""
    from mlflow import MlflowClient

    from archsearch.platform.tracking.saved_view import VIEW_TAG, view_address

    try:
        found = MlflowClient(uri).search_experiments(order_by=["last_update_time DESC"])
    except Exception:  # the server reports what is wrong with the store
        return []
    return [(each.name, view_address(each.experiment_id)) for each in found if VIEW_TAG in each.tags]


def _studies(uri: str) -> list[tuple[str, str]]:
    """Return (name, path of the page) of each of the last studies that has a view, the newest first."""
    from mlflow import MlflowClient

    from archsearch.platform.tracking.saved_view import VIEW_TAG, study_address, study_tag

    try:
        client = MlflowClient(uri)
        tags = {each.experiment_id: each.tags for each in client.search_experiments() if VIEW_TAG in each.tags}
        condition = 'tags.kind = "search"'
        runs = client.search_runs(list(tags), condition, max_results=_READ, order_by=["start_time DESC"]) if tags else []
    except Exception:  # the server reports what is wrong with the store
        return []
    named = {(run.info.experiment_id, run.data.tags["study"]): None for run in runs if "study" in run.data.tags}
    found = [(study, study_address(place, study)) for place, study in named if study_tag(study) in tags[place]]
    return found[:_STUDIES]


def _free_port(host: str, wanted: int) -> int:
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise ConfigurationError(f"host: cannot listen on {host}; try 127.0.0.1.")
