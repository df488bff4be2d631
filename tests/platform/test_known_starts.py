"""Architectures to start with, from everything that can name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError, RunError
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.known_starts import start_texts, with_files_read
from archsearch.platform.run_folder import RunFolder

SPACE = spaces.get("nasbench201")
CELLS = [str(SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)])) for place in range(5, 20)]

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes the folder of a run with the evaluations of the first cells, one of which failed."""

    def make(name: str = "earlier", space: str = "nasbench201", **columns: Any) -> Path:
        configuration = SearchConfiguration(space=space, evaluator="table:digits201", storage=str(tmp_path))
        folder = RunFolder.create(configuration, name)
        folder.report.mkdir()
        scores = [0.01 * place for place in range(12)] + [float("nan")]
        rows = {"architecture": CELLS[:13], "score": scores, "error": [None] * 12 + ["no memory"], "seconds": [1.0] * 13}
        pq.write_table(pa.table({**rows, **columns}), folder.report / "evaluations.parquet")
        return folder.path

    return make


def test_texts_are_architectures() -> None:
    spaced = "[[0, 1, 1], [0, 0, 1], [0, 0, 0]] ['input', 'conv3x3-bn-relu', 'output']"
    assert start_texts([spaced], spaces.get("nasbench101")) == ["[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]"]
    assert start_texts(CELLS[:3], SPACE) == CELLS[:3]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cells.txt", "# good ones\n\n{0}\n  {1}\n"),
        ("cells", "{0}\r\n{1}\r\n"),
        ("bom.txt", "\ufeff{0}\n{1}"),
        ("cells.csv", "arch,acc\n{0},0.5\n{1},-\n"),
        ("cells.tsv", "\tCell\n0\t{0}\n1\t{1}\n"),
    ],
)
def test_files_hold_architectures(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content.format(*CELLS), encoding="utf-8")
    assert start_texts([str(tmp_path / name)], SPACE) == CELLS[:2]


def test_an_export_names_its_architecture(tmp_path: Path) -> None:
    (tmp_path / "architecture.json").write_text(json.dumps({"architecture": CELLS[4]}))
    assert start_texts([str(tmp_path), str(tmp_path / "architecture.json")], SPACE) == [CELLS[4]] * 2


def test_a_run_gives_its_best(make_run: MakeRun) -> None:
    run = make_run()
    assert start_texts([str(run)], SPACE) == CELLS[11:6:-1]
    assert start_texts([f"{run}#2", CELLS[0]], SPACE) == [CELLS[11], CELLS[10], CELLS[0]]
    assert len(start_texts([f"{run}#50"], SPACE)) == 12, "the failed one is none to start with"


def test_the_best_of_a_run_with_a_scheduler_were_evaluated_to_the_end(make_run: MakeRun) -> None:
    run = make_run(fidelity=pa.array([None, None, *[3] * 10, None], pa.int64()))
    assert start_texts([f"{run}#3"], SPACE) == [CELLS[1], CELLS[0], CELLS[11]]


def test_files_are_read_before_a_search_is_sent_to_another_machine(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "cells.txt").write_text(f"{CELLS[0]}\n{CELLS[1]}\n")
    given = [str(tmp_path / "cells.txt"), "/shared/runs/there", CELLS[2], "x" * 5000]
    assert with_files_read(given, SPACE) == [CELLS[0], CELLS[1], *given[1:]]
    assert with_files_read([f"{make_run()}#2"], SPACE) == [CELLS[11], CELLS[10]], "a run of this machine too"


def test_what_names_no_architecture_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    expected = "start: expected an architecture of nasbench201, a file of them, or the folder of a run; got 'runs/none' .text: "
    with pytest.raises(ConfigurationError, match=expected):
        start_texts(["runs/none"], SPACE)
    (tmp_path / "cells.txt").write_text(f"{CELLS[0]}\nno cell\n")
    with pytest.raises(ConfigurationError, match="got 'no cell' in line 2 of .*cells.txt"):
        start_texts([str(tmp_path / "cells.txt")], SPACE)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"start: expected the architecture.json of an export; cannot read .*x.json"):
        start_texts([str(tmp_path / "x.json")], SPACE)
    with pytest.raises(ConfigurationError, match="start: expected a run in the space nasbench201; .* is one in nasbench101"):
        start_texts([str(make_run("other", "nasbench101"))], SPACE)
    run = make_run("begun")
    (run / "report/evaluations.parquet").unlink()
    with pytest.raises(RunError, match="start: .*begun has no evaluations yet; continue it with: archsearch resume"):
        start_texts([str(run)], SPACE)
    (run / "report/evaluations.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match="start: cannot read .*evaluations.parquet"):
        start_texts([str(run)], SPACE)
