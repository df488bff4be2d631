"""`archsearch ui`, as typed: it serves the store, and ends on Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

_COMMAND = "import sys; from archsearch.platform.command_line import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.long
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_shows_the_store_of_the_folder(mlflow_store: Path, tmp_path: Path, stop: signal.Signals) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copy(mlflow_store, tmp_path / "runs/mlflow.db")
    MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").create_experiment("nasbench201/digits")
    command = [sys.executable, "-c", _COMMAND, "ui"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[1].partition("/#/")[0]
        assert address.startswith("http://127.0.0.1:")
        while not _answer(f"{address}/health"):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        assert "<title>MLflow</title>" in _answer(address)
        assert _servers_of(tmp_path)
        assert [each.name for each in MlflowClient(address).search_experiments()] == ["nasbench201/digits", "Default"]
    finally:
        process.send_signal(stop)
        assert process.wait() == 0
    assert _servers_of(tmp_path) == []


def _servers_of(folder: Path) -> list[str]:
    """Return the commands of MLflow's processes that have this folder's store in their environment or arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if b"mlflow" in told and f"{folder}/runs/mlflow.db".encode() in told:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended
    return found


def _answer(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            return str(response.read().decode())
    except OSError:
        return ""
