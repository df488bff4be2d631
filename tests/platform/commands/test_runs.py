"""`archsearch status`, `runs` and `show`, as typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archsearch import platform
from archsearch.platform.command_line import main
from archsearch.platform.commands.runs import runs_text, status_text
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.run_state import Heartbeat, RunState, read_state


def test_the_status_of_a_search_that_runs() -> None:
    state = RunState(
        **{"name": "r", "space": "enas", "searcher": "gates", "evaluator": "train:digits", "total": 40},
        **{"status": "running", "started": 100.0, "updated": 159.0, "host": "vm", "process": 7},
        **{"done": 12, "failed": 3, "reused": 2, "best": 0.9755, "percent": True, "rate": 0.2, "left": 140.0},
        improvements=[(3, 0.9), (9, 0.9755)],
        failures=[("out of memory", 2), ("lost", 1)],
    )
    assert status_text(state, 160.0).splitlines() == [
        "r: running",
        "Search:      gates in enas, scored by train:digits",
        "Candidates:  12/40 (2 reused, 3 failed)",
        "Best:        97.55 %",
        "Improved:    90.00 % at candidate 3, 97.55 % at candidate 9",
        "Pace:        12/min, about 2.3 min left",
        "Running:     60 s, process 7 of vm",
        "Failed:      2 of out of memory",
        "Failed:      1 of lost",
    ]


def test_the_status_and_the_list_say_how_many_were_stopped_early() -> None:
    state = RunState(
        **{"name": "r", "space": "enas", "searcher": "gates", "evaluator": "train:digits", "total": 40, "updated": 99.0},
        **{"status": "running", "done": 12, "best": 0.9, "percent": True, "stopped_early": 7, "paused": 2},
        best_at="12 of 36 epochs",
    )
    lines = status_text(state, 100.0).splitlines()
    assert lines[2:4] == ["Candidates:  12/40 (7 stopped early, 2 paused)", "Best:        90.00 % after 12 of 36 epochs"]
    assert runs_text([state, RunState("s", status="failed")], 100.0).splitlines()[:3] == [
        "run  searcher  space  state    candidates  stopped early     best  age",
        "r    gates     enas   running       12/40              7  90.00 %  1 s",
        "s    -         -      failed          0/0              -        -    -",
    ]


def test_the_list_names_all_states() -> None:
    states = [
        RunState("new", "enas", "gates", total=40, status="running", started=90.0, updated=99.0, done=4, best=3.25),
        RunState("longer name", "cells", "ghn", total=2, status="finished", updated=40.0, done=2, best=0.5, percent=True),
        RunState("broken", status="failed"),
    ]
    assert runs_text(states, 100.0).splitlines() == [
        "run          searcher  space  state     candidates     best   age",
        "new          gates     enas   running         4/40     3.25  10 s",
        "longer name  ghn       cells  finished         2/2  50.00 %  60 s",
        "broken       -         -      failed           0/0        -     -",
        "1 running, 1 finished, 1 failed",
    ]
    assert runs_text([], 0.0) == "There are no runs here. Start one: archsearch run"


def test_the_commands_of_a_finished_run(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run.path)]) == 0
    assert capsys.readouterr().out.startswith("r: finished\nSearch:      random in nasbench201, scored by table:digits201\n")
    assert main(["runs", "--storage", str(run.path.parent)]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["show", str(run.path), "--top", "2"]) == 0
    short = capsys.readouterr().out
    assert short.startswith("r: finished, 3/3 candidates\n") and "nasbench201-" in short and "|" not in short
    assert "depth" in short and f"Use it:    archsearch export {run.path} --retrain DATASET" in short
    assert main(["show", str(run.path), "--full"]) == 0
    assert capsys.readouterr().out.count("|nor_conv") + short.count("|none") >= 1
    assert main(["show", str(run.path), "--top", "0"]) == 2
    assert "top: expected a whole number of at least 1" in capsys.readouterr().err


def test_status_and_runs_load_nothing_heavy(run: RunFolder) -> None:
    code = (
        "import sys; from archsearch.platform.command_line import main\n"
        f"assert main(['status', {str(run.path)!r}]) == 0\nassert main(['runs', '--storage', {str(run.path.parent)!r}]) == 0\n"
        "assert not {'ray', 'torch', 'mlflow', 'pandas'} & set(sys.modules)"
    )
    with Heartbeat(run.path, {"total": 3}):
        pass
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.usefixtures("shared_ray")
def test_show_of_a_search_that_was_killed_reads_the_ledger(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"num_candidates": 12, "batch_size": 4, "tracking": "off", "progress": False, "report": False}
    result = platform.run_search(
        "nasbench201", "random", f"table:{table}#valid_accuracy", name="killed", storage=tmp_path, **settings
    )
    heartbeat = Heartbeat(result.folder, {"total": 12})
    heartbeat.follow(lambda: {"process": 2**22 + 1, "done": 12})
    heartbeat.write("running")
    (result.folder / "report" / "evaluations.parquet").unlink()
    assert read_state(result.folder).status == "stopped"
    assert main(["show", str(result.folder)]) == 0
    printed = capsys.readouterr().out
    assert "12/12 candidates" in printed and f"{100 * result.best.score:.2f}" in printed
    assert f"Continue:  archsearch resume {result.folder}" in printed
