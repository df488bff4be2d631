"""A search under a scheduler whose driver is killed goes on from the checkpoints that its function keeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.timeout(900)

TRAINING = """
import torch
from pathlib import Path

def train(model, context):
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    loss = torch.zeros(())
    for step in range(context.keep(model, optimizer), context.steps):
        with (Path(__file__).parent / "steps.txt").open("a") as file:
            file.write(f"{context.architecture}\\t{step + 1}\\n")
        loss = model(torch.randn(4, 3, 8, 8)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        context.report(step + 1, loss)
    return loss
"""
SEARCH = """
import sys
from archsearch import platform

options = {"mode": "min", "steps": 9, "scale": {"channels": 2, "cells_per_stage": 1}, "input_shape": [3, 8, 8]}
given = {"num_candidates": 8, "tracking": "off", "report": False, "workers": 1, "name": "killed", "deterministic": True}
if __name__ == "__main__":
    platform.run_search(
        "nasbench201", "evolution", "python:my_training:train", scheduler="asha", storage=sys.argv[1], resume=len(sys.argv) > 2,
        evaluator_options=options, **given,
    )
"""


@pytest.mark.long
def test_killed_search_goes_on_from_the_checkpoints_of_its_function(tmp_path: Path) -> None:
    (tmp_path / "my_training.py").write_text(TRAINING)
    (tmp_path / "search.py").write_text(SEARCH)
    noted = tmp_path / "steps.txt"

    def run(storage: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        environment["PYTHONPATH"] = f"{tmp_path}:{Path(__file__).parents[2]}"
        command = [sys.executable, "search.py", storage, *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)

    def scores(storage: str) -> list[Any]:
        table = pq.read_table(tmp_path / storage / "killed" / "report" / "evaluations.parquet")
        return table.select(["architecture", "score", "fidelity"]).to_pylist()

    assert run("whole").wait() == 0
    steps = noted.read_text().splitlines()
    noted.unlink()
    killed = run("parts")
    while killed.poll() is None and (not noted.exists() or len(noted.read_text().splitlines()) < len(steps) // 2):
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(noted.read_text().splitlines()) < len(steps)
    assert run("parts", "resume").wait() == 0
    assert scores("parts") == scores("whole")
    done = noted.read_text().splitlines()
    assert set(done) == set(steps)
    assert len(done) <= len(steps) + 1, "only the step in hand is done again"
