"""Searches that are stopped for real: Ctrl-C and kill -9, and then resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.timeout(1800)
PATIENCE = 600  # seconds, on a machine that is busy with other work
CANDIDATES = 12
SEARCH = [
    *("run", "--candidates", str(CANDIDATES), "--name", "stopped", "--tracking", "off", "--searcher", "evolution"),
    *("--train", "epochs=3", "--train", "scale={channels: 4, cells_per_stage: 1}", "--set", "population_size=4"),
    *("--set", "tournament_size=2"),
]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "archsearch", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def paid(folder: Path) -> list[str]:
    parts = sorted((folder / "runs/ledger").rglob("*.parquet"))
    return [key for part in parts for key in pq.read_table(part)["key"].to_pylist()]


def wait_for(count: int, folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(paid(folder)) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"only {len(paid(folder))} evaluations"
        time.sleep(0.05)


# That a killed search goes on is tested in the usual run too, in tests/cluster/test_kills.py.
@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.long) for number in (signal.SIGTERM, signal.SIGKILL))]
)
@pytest.mark.slow
def test_a_stopped_search_goes_on_and_pays_nothing_twice(number: signal.Signals, tmp_path: Path) -> None:
    process = start(SEARCH, tmp_path)
    wait_for(3, tmp_path, process)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=PATIENCE)
    before = paid(tmp_path)
    assert 3 <= len(before) < CANDIDATES
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130, output
        assert "Traceback" not in output
        assert "archsearch resume" in output
    resumed = start(["resume", "runs/stopped"], tmp_path)
    output, _ = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, output
    after = paid(tmp_path)
    assert set(before) <= set(after)
    assert len(after) == len(set(after)) == CANDIDATES
    assert pq.read_table(tmp_path / "runs/stopped/report/evaluations.parquet").num_rows == CANDIDATES
