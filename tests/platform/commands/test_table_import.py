"""Tables from the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from archsearch import cluster, spaces
from archsearch.evaluators import TabularEvaluator, installed_tables
from archsearch.platform import run_search
from archsearch.platform.command_line import main

SPACE = spaces.get("nasbench201")
CELLS = [SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)]) for place in range(40)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, and the folder of a small table."""
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def write(path: str = "scores.parquet", **changes: Any) -> None:
    columns = {
        "cell": [str(cell) for cell in CELLS],
        "acc": [50.0 + place for place in range(len(CELLS))],
        "time": [10.0] * len(CELLS),
        "device": ["a"] * len(CELLS),
    }
    pq.write_table(pa.table({**columns, **changes}), path)


def test_a_table_is_imported_listed_and_searched(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    table = ["import", "table", "scores.parquet", "--space", "nasbench201", "--architecture", "cell"]
    assert main([*table, "--seconds", "time", "--rename", "acc=valid_accuracy", "--name", "mine"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"Wrote {cache}/tables/mine.parquet",
        f"  40 architectures of nasbench201, {len({SPACE.key(cell) for cell in CELLS})} distinct structures",
        "  scored by valid_accuracy; 2 columns: valid_accuracy, seconds",
        "  Columns that are no metrics were left out: device (string).",
        "  Percent were converted to fractions: valid_accuracy.",
        f"Card:      {cache}/tables/mine.md",
        "Search it: archsearch run --space nasbench201 --table mine --candidates 300",
    ]
    evaluator = TabularEvaluator.installed("mine")
    [found] = evaluator.evaluate(CELLS[7:8])
    assert (found.score, found.seconds) == (0.57, 10.0)

    assert main(["spaces"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "  mine: nasbench201, 40 rows, scored by valid_accuracy" in listed
    assert "  digits201: nasbench201, 6,466 rows, scored by valid_accuracy" in listed

    assert main([*table, "--score", "time", "--name", "mine"]) == 0
    assert capsys.readouterr().out.startswith("Replaced ")


def test_a_csv_is_imported_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["cell,test_acc,latency", *(f"{cell},{0.5 + place / 100},{place}" for place, cell in enumerate(CELLS))]
    Path("by-hand.csv").write_text("\n".join(lines) + "\n")
    assert (
        main(["import", "table", "by-hand.csv", "--space", "nasbench201", "--architecture", "cell", "--score", "test_acc"]) == 0
    )
    out = capsys.readouterr().out
    assert "test_acc is measured on test data" in out
    assert installed_tables() == ["by-hand"]
    assert main(["spaces"]) == 0
    assert "  by-hand: nasbench201, 40 rows, scored by test_acc" in capsys.readouterr().out


def test_rows_without_a_score_are_left_out_if_asked(capsys: pytest.CaptureFixture[str]) -> None:
    write(acc=[None, *[0.5] * (len(CELLS) - 1)])
    table = ["import", "table", "scores.parquet", "--space", "nasbench201", "--architecture", "cell"]
    assert main(table) == 2
    assert "1 of 40 rows have no 'acc'" in capsys.readouterr().err
    assert main([*table, "--drop-missing"]) == 0
    assert "1 rows without acc were left out" in capsys.readouterr().out


def test_which_columns_are_in_percent_can_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    write()
    table = ["import", "table", "scores.parquet", "--space", "nasbench201", "--architecture", "cell"]
    assert main([*table, "--percent"]) == 0
    assert TabularEvaluator.installed("scores").evaluate(CELLS[:1])[0].score == 50.0
    assert main([*table, "--percent", "time", "acc"]) == 0
    assert TabularEvaluator.installed("scores").evaluate(CELLS[:1])[0].metrics == {"acc": 0.5, "time": 0.1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--space", "nasbench20"], "space: expected one of .*; got 'nasbench20'"),
        (["--space", "enas"], "40 of 40 architectures do not belong to enas; the first is row 0: "),
        (["--architecture", "cel"], "architecture: column of scores.parquet: .*; got 'cel'. Did you mean 'cell'"),
        (["--architecture", "time"], "architecture: expected a column of strings; got double"),
        (["--score", "device"], "score: column of the table: expected one of acc, time; got 'device'"),
        (["--rename", "acc"], "rename: expected OLD=NEW; got 'acc'"),
        (["--rename", "acc=time"], "the columns acc, time of scores.parquet would all be called 'time'"),
        (["--name", "a/b"], "name: expected letters, digits"),
        (["--name", "digits201"], "name: 'digits201' is a table of the package"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    options: list[str], message: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    table = ["import", "table", "scores.parquet", "--space", "nasbench201", "--architecture", "cell", "--score", "acc"]
    assert main([*table, *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert error[0].startswith("archsearch: ")
    assert re.search(message, error[0]), error
    assert not cache.exists()


@pytest.mark.parametrize("source", ["nasbench101", "nasbench201"])
def test_a_missing_official_file_is_one_line_and_exit_code_2(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", source, "missing.file"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("archsearch: ")
    assert "missing.file" in error
    assert "\n" not in error


def test_a_damaged_table_is_listed_as_such(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "tables").mkdir(parents=True)
    (cache / "tables" / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert main(["spaces"]) == 0
    assert "  broken: corrupt; import it again" in capsys.readouterr().out


@pytest.mark.long
def test_a_search_in_an_imported_table(tmp_path: Path, cache: Path) -> None:
    every = [SPACE.from_genotype([place // 5**gene % 5 for gene in range(6)]) for place in range(5**6)]
    scores = np.linspace(10.0, 90.0, len(every))
    pq.write_table(pa.table({"arch": [str(cell) for cell in every], "acc": scores, "latency": scores[::-1]}), "all.parquet")
    assert main(["import", "table", "all.parquet", "--space", "nasbench201", "--architecture", "arch"]) == 0
    cluster.connect(num_cpus=1)
    try:
        result = run_search(
            searcher="random", evaluator="table:all", num_candidates=20, storage=tmp_path / "runs", tracking="off", progress=False
        )
    finally:
        ray.shutdown()
    rows = {str(cell): place for place, cell in enumerate(every)}
    places = [rows[text] for text in result.evaluations["architecture"].to_pylist()]
    np.testing.assert_allclose(result.evaluations["score"].to_pylist(), scores[places] / 100.0)
    np.testing.assert_allclose(result.evaluations["latency"].to_pylist(), scores[::-1][places])


# Real data


def test_nasbench201_is_imported_whole(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = data / "nasbench201.parquet"
    table = ["import", "table", str(source), "--space", "nasbench201", "--architecture", "arch", "--name", "nb201"]
    assert main([*table, "--score", "cifar100_valid"]) == 0
    assert "15,625 architectures of nasbench201, 6,466 distinct structures" in capsys.readouterr().out
    evaluator = TabularEvaluator.installed("nb201")
    rows = pq.read_table(source).to_pandas()
    evaluations = evaluator.evaluate([SPACE.parse(text) for text in rows["arch"]])
    percent = [name for name in rows if name.startswith("cifar")]
    for name in evaluator.metric_names:
        expected = rows[name].to_numpy(np.float64) / (100.0 if name in percent else 1.0)
        got = [evaluation.metrics.get(name, np.nan) for evaluation in evaluations]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert evaluator.cost_names[:2] == ("params", "macs")
    assert "hwnb_edgegpu_latency_ms" in evaluator.cost_names


def check_nasbench101(data: Path, count: int) -> None:
    """Import the first rows of the benchmark and compare each look-up with its row."""
    space: Any = spaces.get("nasbench101")
    raw = pq.read_table(data / "nasbench101.parquet").slice(0, count)
    operators = np.array(raw["ops"].combine_chunks().flatten()).reshape(-1, 5)
    cells = []
    for start in range(0, len(raw), 4096):
        rows = slice(start, start + 4096)
        cells += space.decode(space.encode_adjacency(raw["adjacency"].to_numpy()[rows], operators[rows]))
    pq.write_table(raw.append_column("cell", pa.array([str(cell) for cell in cells])), "nb101.parquet")
    table = ["import", "table", "nb101.parquet", "--space", "nasbench101", "--architecture", "cell", "--score", "test_acc"]
    assert main([*table, "--seconds", "train_time_s_run"]) == 0
    evaluator = TabularEvaluator.installed("nb101")
    assert len(evaluator) == len(raw)
    for name in ("test_acc", "valid_acc_run"):
        expected = raw[name].to_numpy().astype(np.float64) / 100.0
        got: list[float] = []
        for start in range(0, len(cells), 4096):
            got += [each.metrics.get(name, np.nan) for each in evaluator.evaluate(cells[start : start + 4096])]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    for place in range(0, len(cells), len(cells) // 50):
        [evaluation] = evaluator.evaluate([cells[place]])
        row = raw.slice(place, 1).to_pylist()[0]
        assert evaluation.key == space.key(cells[place])
        assert evaluation.seconds == (row["train_time_s_run"] or 0.0)
        assert evaluator.costs(cells[place])["params"] == row["params"]
        assert evaluator.costs(cells[place])["macs"] == row["flops"]


def test_rows_of_nasbench101_are_found(data: Path) -> None:
    check_nasbench101(data, 20_000)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_all_rows_of_nasbench101_are_found(data: Path) -> None:
    check_nasbench101(data, 423_624)
