"""A deterministic search leaves the same ledger with one worker and with four, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.cluster import Ledger
from archsearch.spaces.nasbench201 import NASBench201

SEARCH = """
import sys
from archsearch.platform import run_search
table, storage, workers = sys.argv[1:]
run_search(
    "nasbench201", "evolution", f"table:{table}#valid_accuracy", 240, seed=3, name="run", storage=storage, deterministic=True,
    workers=int(workers), cpus_per_worker=0.25, batch_size=8, tracking="off", report=False, progress=False,
    searcher_options={"population_size": 40, "tournament_size": 8},
)
"""


def start(table: Path, storage: Path, workers: int) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": str(workers)}
    command = [sys.executable, "-c", SEARCH, str(table), str(storage), str(workers)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(storage: Path) -> list[tuple[int, int, str, str, float]]:
    """Return what the ledger holds, in the order of proposal."""
    [folder] = (storage / "ledger" / "nasbench201").iterdir()
    entries = Ledger(storage / "ledger", NASBench201(), folder.name).entries("run")
    found = [(entry.batch, entry.position, entry.evaluation) for entry in entries]
    return sorted((batch, place, one.key, str(one.architecture), one.score) for batch, place, one in found)


@pytest.mark.long  # the usual run has this for trials in tests/cluster/test_tuning.py, and for hashes in the conformance suite
def test_one_worker_and_four_leave_the_same_ledger(table: Path, tmp_path: Path) -> None:
    searches = {workers: start(table, tmp_path / str(workers), workers) for workers in (1, 4)}
    for process in searches.values():
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    one, four = rows(tmp_path / "1"), rows(tmp_path / "4")
    assert [row[:2] for row in one] == [(number // 8, number % 8) for number in range(240)]
    assert len({row[2] for row in one}) == 240
    assert one == four
