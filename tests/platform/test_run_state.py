"""The state of a run, read while it runs, after it ended, and after it was killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import RunError, SearchStopped
from archsearch.platform import run_state
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_state import SILENCE, Heartbeat, RunState, all_states, read_state

KNOWN = {"space": "nasbench201", "searcher": "random", "evaluator": "table:digits201", "total": 3, "percent": True}


def state_of(folder: RunFolder, error: BaseException | None = None, **figures: Any) -> RunState:
    """Return the state that another process reads after a search with these figures ended."""
    try:
        with Heartbeat(folder.path, KNOWN) as heartbeat:
            heartbeat.follow(lambda: figures)
            if error is not None:
                raise error
    except type(error or Exception()):
        pass
    return read_state(folder.path)


def test_a_search_that_runs_and_ends(run: RunFolder) -> None:
    with Heartbeat(run.path, KNOWN) as heartbeat:
        heartbeat.follow(lambda: {"done": 2, "best": 0.5, "improvements": [(1, 0.25), (2, 0.5)], "failures": [("lost", 1)]})
        heartbeat.write("running")
        state = read_state(run.path)
        assert (state.status, state.done, state.best, state.total, state.process) == ("running", 2, 0.5, 3, os.getpid())
        assert state.improvements == ((1, 0.25), (2, 0.5)) and state.failures == (("lost", 1),)
    assert read_state(run.path).status == "finished"


def test_the_thread_writes_without_being_asked(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_state, "PERIOD", 0.02)
    with Heartbeat(run.path, KNOWN) as heartbeat:
        heartbeat.follow(lambda: {"done": 3})
        end = time.monotonic() + 5.0
        while read_state(run.path).done != 3:
            assert time.monotonic() < end, "no heartbeat within five seconds"
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("error", "status", "note"),
    [
        (SearchStopped("stopped"), "stopped", ""),
        (KeyboardInterrupt(), "stopped", ""),
        (RunError("storage: cannot write"), "failed", "storage: cannot write"),
        (ValueError("odd"), "failed", "ValueError: odd"),
    ],
)
def test_how_it_ended(error: BaseException, status: str, note: str, run: RunFolder) -> None:
    state = state_of(run, error, done=1)
    assert (state.status, state.note, state.done) == (status, note, 1)


def test_a_search_that_was_killed_is_stopped(run: RunFolder) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom archsearch.platform.run_state import Heartbeat\n"
        f"with Heartbeat(Path(sys.argv[1]), {KNOWN!r}) as heartbeat:\n"
        "    heartbeat.follow(lambda: {'done': 2})\n    heartbeat.write('running')\n    print(flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert read_state(run.path).status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    state = read_state(run.path)
    assert (state.status, state.done) == ("stopped", 2)
    assert "its process has ended without a word" in state.note


@pytest.mark.parametrize(("host", "age", "status"), [("other", 5.0, "running"), ("other", SILENCE + 5, "stopped")])
def test_a_search_on_another_machine_is_judged_by_its_signs_of_life(host: str, age: float, status: str) -> None:
    state = RunState("r", updated=1000.0 - age, host=host, process=1)
    assert state.seen_at(1000.0, "here").status == status
    assert ("no sign of life for 65 seconds; look after other" in state.seen_at(1000.0, "here").note) == (status == "stopped")


def test_a_process_that_hangs_here_is_named() -> None:
    state = RunState("r", updated=0.0, host=socket.gethostname(), process=os.getpid()).seen_at(100.0, socket.gethostname())
    assert state.status == "stopped" and f"the process {os.getpid()} exists, but does nothing" in state.note


def test_a_run_without_such_a_file_is_read_from_its_tables(run: RunFolder) -> None:
    state = read_state(run.path)
    assert (state.status, state.done, state.best, state.searcher, state.percent) == ("finished", 3, 0.9, "random", True)
    (run.report / "evaluations.parquet").unlink()
    assert (read_state(run.path).status, read_state(run.path).done) == ("stopped", 0)


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"name": 3}', '{"name": "r", "done": "many"}', '{"name": "r", "best": true}']
)
def test_a_damaged_file_is_named(content: str, run: RunFolder) -> None:
    (run.path / "state.json").write_text(content)
    with pytest.raises(RunError, match=r"cannot read .*state.json .*; remove the file, then: archsearch resume"):
        read_state(run.path)
    [state] = all_states(run.path.parent)
    assert (state.name, state.status) == ("r", "failed")


def test_fields_of_a_newer_version_are_ignored(run: RunFolder) -> None:
    state_of(run, done=1)
    content = json.loads((run.path / "state.json").read_text()) | {"mood": "good"}
    (run.path / "state.json").write_text(json.dumps(content))
    assert read_state(run.path).done == 1


def test_a_disk_that_refuses_the_file_does_not_end_the_search(run: RunFolder) -> None:
    (run.path / "state.json").mkdir()
    with Heartbeat(run.path, KNOWN):
        pass


def test_no_run(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run in .*/rr .*Did you mean 'r'"):
        read_state(tmp_path / "rr")
    with pytest.raises(RunError, match="there is no folder"):
        all_states(tmp_path / "none")
    assert all_states(run.report) == []


def test_no_password_is_written(run: RunFolder) -> None:
    known = {**KNOWN, "evaluator": "table:http://me:grandmother@host/scores.parquet"}
    with pytest.raises(ValueError, match="odd"), Heartbeat(run.path, known):
        raise ValueError("odd: postgresql://me:grandmother@host/runs")
    text = (run.path / run_state.FILE).read_text()
    assert "grandmother" not in text and "postgresql://me:***@host" in text
