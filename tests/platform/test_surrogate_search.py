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
COMMON = ["--candidates", str(CANDIDATES), "--tracking", "off", "--deterministic", "--seed", "5"]
PREDICTORS = {
    "gates": ["initial=8", "stage_size=5", "population=20", "generations=2", "enumerable=0", "epochs=40"],
    "nao": ["initial=8", "stage_size=5", "unlabelled=50", "model={hidden: 8, steps: 100, warm_steps: 50}"],
    "pnas": ["initial=8", "stage_size=5", "model={members: 2, recurrent: 8, epochs: 40}"],
}


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "archsearch", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def search(name: str, folder: Path, evaluator: list[str], method: str = "gates") -> subprocess.Popen[str]:
    options = sets(*PREDICTORS[method])
    return start(["run", "--searcher", method, *COMMON, *options, *evaluator, "--name", name, "--storage", name], folder)


def sets(*options: str) -> list[str]:
    return [word for option in options for word in ("--set", option)]


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
@pytest.mark.parametrize("method", PREDICTORS)
def test_death_of_the_predictors_actor_changes_nothing_but_time(tmp_path: Path, method: str) -> None:
    table = ["--table", "digits201"]
    whole, process = (search(name, tmp_path, table, method) for name in ("whole", "killed"))
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


def run_preset(name: str, folder: Path, options: list[str]) -> subprocess.Popen[str]:
    common = ["--preset", "paper", "--deterministic", "--seed", "5", "--tracking", "off", "--workers", "2"]
    return start(["run", *common, *options, "--name", name, "--storage", name], folder)


TINY = "scale={blocks: 3, channels: 4}"
PAPERS = {
    "gates": [
        *["--searcher", "gates", "--space", "cells", "--candidates", "14", "--train", "epochs=1", "--train", TINY],
        *sets("initial=6", "stage_size=4", "model={epochs: 6, warm_epochs: 3, width: 8, hidden: 6}"),
        *sets("inner={kind: evolution, population: 6, tournament: 2, steps: 6}"),
    ],
    "ghn": [
        *["--candidates", "4", "--train", "epochs=1", "--train", TINY],
        *sets("rank_candidates=20", "training_scale=0.005", "model={batch_size: 32, evaluation_images: 100}"),
    ],
}


@pytest.mark.long
@pytest.mark.parametrize(("method", "before"), [("gates", 8), ("ghn", 2)])
def test_the_papers_way_runs_and_goes_on_after_a_kill(tmp_path: Path, method: str, before: int) -> None:
    """Real trainings; the driver is killed after the surrogate has chosen the first candidates."""
    whole = run_preset("whole", tmp_path, PAPERS[method])
    output = end(whole)
    killed = run_preset("killed", tmp_path, PAPERS[method])
    wait_for(before, tmp_path / "killed", killed)
    killed.kill()
    killed.communicate()
    end(start(["resume", "killed/killed"], tmp_path))
    columns = ["candidate", "architecture", "score"]
    assert evaluations(tmp_path / "killed").select(columns).equals(evaluations(tmp_path / "whole").select(columns))
    keys = paid(tmp_path / "killed")
    assert len(keys) == len(set(keys)) == evaluations(tmp_path / "whole").num_rows
    if method == "ghn":
        report = (tmp_path / "whole/whole/report/report.html").read_text()
        for text in (output, report):
            assert "training_scale=0.005" in text, "the factor is told in the log and in the report"


RIVALS = {
    "nasnet": sets("update_size=3", "model={hidden: 16}"),
    "pnas": sets("initial=4", "stage_size=3", "model={members: 2, recurrent: 8, epochs: 5}"),
    "nao": sets("initial=4", "stage_size=3", "unlabelled=20", "model={hidden: 8, steps: 5, warm_steps: 5}"),
    "darts": sets("initial=4", "stage_size=3", "steps=60", "model={batch_size: 16}"),
    "enas": sets("initial=4", "stage_size=3", "steps=200", "model={batch_size: 16}"),
    "nao-ws": sets("initial=4", "stage_size=3", "steps=200", "population=20", "model={batch_size: 16}"),
    "smash": sets("initial=4", "rank_candidates=20", "steps=60", "model={batch_size: 16, evaluation_images: 100}"),
}
SHARING = ("darts", "enas", "nao-ws", "smash")


@pytest.mark.long
@pytest.mark.parametrize("method", RIVALS)
def test_a_rival_goes_on_after_a_kill_and_pays_nothing_twice(tmp_path: Path, method: str) -> None:
    """Real trainings; the driver is killed after the method has learned, and where weights are shared during their training."""
    scale = ["--train", "epochs=1", "--train", "scale={channels: 4, cells_per_stage: 1}", "--deterministic", "--seed", "5"]
    common = ["--space", "nasbench201", "--dataset", "digits", "--candidates", "12", "--tracking", "off", "--workers", "2"]
    words = ["run", *common, *scale, "--searcher", method, *RIVALS[method]]

    def begin(name: str) -> subprocess.Popen[str]:
        own_cache = sets(f"cache=cache-{name}") if method in SHARING else []
        return start([*words, *own_cache, "--storage", name, "--name", name], tmp_path)

    end(begin("whole"))
    process, before = begin("killed"), []
    for count in (1, 7) if method in SHARING else (7,):
        wait_for(count, tmp_path / "killed", process)
        process.kill()
        process.communicate()
        before += paid(tmp_path / "killed")
        process = start(["resume", "killed/killed"], tmp_path)
    end(process)
    columns = ["candidate", "architecture", "score"]
    assert evaluations(tmp_path / "killed").select(columns).equals(evaluations(tmp_path / "whole").select(columns))
    keys = paid(tmp_path / "killed")
    assert set(before) <= set(keys)
    assert len(keys) == len(set(keys)) == 12
