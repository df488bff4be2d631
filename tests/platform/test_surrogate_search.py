"""Searches whose surrogate lives in an actor, run by the command and killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.timeout(1800)
PATIENCE = 600  # seconds, on a machine that is busy with other work
CANDIDATES = 28
COMMON = ["--candidates", str(CANDIDATES), "--searcher", "gates", "--tracking", "off", "--deterministic", "--seed", "5"]
GATES = ["initial=8", "stage_size=5", "population=20", "generations=2", "enumerable=0", "epochs=40"]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "archsearch", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def search(name: str, folder: Path, evaluator: list[str]) -> subprocess.Popen[str]:
    options = [word for option in GATES for word in ("--set", option)]
    return start(["run", *COMMON, *options, *evaluator, "--name", name, "--storage", name], folder)


def end(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return output


def paid(storage: Path) -> list[str]:
    parts = sorted((storage / "ledger").rglob("*.parquet"))
    return [key for part in parts for key in pq.read_table(part)["key"].to_pylist()]


def evaluations(storage: Path) -> pa.Table:
    """Return what a search found, without what differs between two runs of it."""
    return pq.read_table(storage / storage.name / "report/evaluations.parquet").drop_columns(["seconds"])


def descendants(pid: int, name: str) -> list[int]:
    """Return the processes below a process whose command begins so."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
    found, open_ends = [], [pid]
    while open_ends:
        parent = open_ends.pop()
        children = [child for child, of in parents.items() if of == parent]
        open_ends += children
        found += [child for child in children if command(child).startswith(name)]
    return found


def command(pid: int) -> str:
    """Return how a process is called; nothing when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def actor_of(process: subprocess.Popen[str]) -> int:
    """Return the process of a search's surrogate, which may just be restarted."""
    deadline = time.monotonic() + PATIENCE
    while len(actors := descendants(process.pid, "ray::ModelActor")) != 1:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{len(actors)} actors"
        time.sleep(0.05)
    return actors[0]


def wait_for(count: int, storage: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(paid(storage)) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"only {len(paid(storage))} evaluations"
        time.sleep(0.05)


@pytest.mark.long  # the usual tests kill the actor of a hypernetwork, in tests/searchers
def test_death_of_the_predictors_actor_changes_nothing_but_time(tmp_path: Path) -> None:
    table = ["--table", "digits201"]
    whole, process = (search(name, tmp_path, table) for name in ("whole", "killed"))
    for further in (8, 5):  # a fit begins then; one that is hit twice would be given up
        wait_for(len(paid(tmp_path / "killed")) + further, tmp_path / "killed", process)
        os.kill(actor_of(process), signal.SIGKILL)
    assert "at random" not in end(process)
    end(whole)
    assert evaluations(tmp_path / "killed").equals(evaluations(tmp_path / "whole"))


@pytest.mark.long
def test_killed_search_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Real trainings; the driver is killed while a predictor has the search."""
    trained = ["--train", "epochs=1", "--train", "scale={channels: 4, cells_per_stage: 1}", "--workers", "2"]
    whole, killed = (search(name, tmp_path, trained) for name in ("whole", "killed"))
    wait_for(16, tmp_path / "killed", killed)
    killed.kill()
    killed.communicate()
    before = paid(tmp_path / "killed")
    end(start(["resume", "killed/killed"], tmp_path))
    after = paid(tmp_path / "killed")
    assert set(before) <= set(after)
    assert len(after) == len(set(after)) == CANDIDATES
    end(whole)
    columns = ["candidate", "architecture", "score"]
    assert evaluations(tmp_path / "killed").select(columns).equals(evaluations(tmp_path / "whole").select(columns))
