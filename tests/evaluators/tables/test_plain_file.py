"""User-defined tables."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.plain_file import read_plain_file

CELLS = [
    "[[0,1,1],[0,0,1],[0,0,0]] [input,conv3x3-bn-relu,output]",
    "[[0,1,1],[0,0,1],[0,0,0]] [input,maxpool3x3,output]",
]
ROWS = {"accuracy": [90.5, 80.25], "cell": CELLS, "time": [10, 20], "flops": [1.5, 2.5]}


@pytest.fixture(params=["csv", "parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"scores.{request.param}"
    if request.param == "parquet":
        pq.write_table(pa.table(ROWS), path)
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([list(ROWS), *zip(*ROWS.values(), strict=True)])
    return path


def test_csv_and_parquet_give_equal_tables(path: Path) -> None:
    draft = read_plain_file(path, "nasbench101", "cell", seconds="time", rename={"flops": "macs"})
    assert draft.rows.to_pydict() == {"architecture": CELLS, "accuracy": [90.5, 80.25], "seconds": [10, 20], "macs": [1.5, 2.5]}
    assert draft.rows.column_names[0] == "architecture"
    assert (draft.space, draft.score, draft.source) == ("nasbench101", "accuracy", f"the file {path.name}")


@pytest.mark.parametrize("score", ["flops", "macs"])
def test_the_score_goes_by_its_old_name_or_its_new_one(score: str, path: Path) -> None:
    assert read_plain_file(path, "nasbench101", "cell", score=score, rename={"flops": "macs"}).score == "macs"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["acc", "valid_accuracy"], "valid_accuracy"),
        (["test_accuracy", "cifar10_valid", "acc"], "cifar10_valid"),
        (["loss", "top1"], "top1"),
    ],
)
def test_the_score_is_an_accuracy_by_default_but_none_on_test_data(columns: list[str], expected: str, tmp_path: Path) -> None:
    rows = {"cell": CELLS, **{name: [0.1, 0.2] for name in columns}}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    assert read_plain_file(tmp_path / "t.parquet", "nasbench101", "cell").score == expected


def test_empty_fields_of_a_csv_are_missing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("cell,valid_accuracy\na,0.5\nb,\nc,nan\n")
    assert read_plain_file(tmp_path / "t.csv", "nasbench101", "cell").rows["valid_accuracy"].to_pylist()[:2] == [0.5, None]


def test_texts_of_numbers_are_read_in_parquet_too(tmp_path: Path) -> None:
    rows = {"cell": CELLS, "acc": ["93.1 %", "n/a"], "params": ["1,234,567", "2,000"], "device": ["a", "b"]}
    pq.write_table(pa.table({**rows, "__index_level_0__": [0, 1]}), tmp_path / "t.parquet")
    draft = read_plain_file(tmp_path / "t.parquet", "nasbench101", "cell")
    assert draft.rows.to_pydict() == {
        **{"architecture": CELLS, "acc": [pytest.approx(0.931), None], "params": [1234567, 2000], "device": ["a", "b"]},
    }
    assert draft.fractions == {"acc"}
    assert draft.notes == ("Columns without a name or that count the rows were left out: '__index_level_0__'.",)


def test_decimal_and_missing_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("cell\tacc\na\t93,125\nb\tOOM\n")
    draft = read_plain_file(tmp_path / "t.csv", "nasbench101", "cell", decimal=",", missing=["oom"])
    assert draft.rows["acc"].to_pylist() == [93.125, None]
    with pytest.raises(TableError, match="decimal: expected '.' or ','; got ';'"):
        read_plain_file(tmp_path / "t.csv", "nasbench101", "cell", decimal=";")


# Bad input


def test_missing_columns_are_refused(path: Path) -> None:
    with pytest.raises(TableError, match=rf"architecture: column of {path.name}: .*; got 'cel'. Did you mean 'cell'\?"):
        read_plain_file(path, "nasbench101", "cel")
    with pytest.raises(TableError, match=rf"seconds: column of {path.name}: .*; got 'tiem'. Did you mean 'time'\?"):
        read_plain_file(path, "nasbench101", "cell", seconds="tiem")
    with pytest.raises(TableError, match=rf"rename: column of {path.name}: .*; got 'flop'. Did you mean 'flops'\?"):
        read_plain_file(path, "nasbench101", "cell", rename={"flop": "macs"})


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    with pytest.raises(
        TableError, match=f"the columns time, flops of {path.name} would all be called 'cost'; .*--rename OLD=NEW"
    ):
        read_plain_file(path, "nasbench101", "cell", rename={"flops": "cost", "time": "cost"})


def test_a_table_without_an_accuracy_needs_a_score(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"cell": CELLS, "loss": [0.1, 0.2], "test_acc": [0.1, 0.2], "seconds": [1, 2]}), tmp_path / "t.parquet"
    )
    with pytest.raises(
        TableError, match="score: which column of t.parquet scores.* --score, or as t.parquet#COLUMN .* has loss, test_acc"
    ):
        read_plain_file(tmp_path / "t.parquet", "nasbench101", "cell")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", b"cell,acc\n", "table: expected a file ending in .csv or .parquet; got .*t.json"),
        ("t.xlsx", b"PK", "table: expected a CSV or Parquet file; got the spreadsheet t.xlsx. Save it as CSV first"),
        ("t.csv", b"", r"table: cannot read .*t.csv \(Empty CSV file\). Expected a header and one row an architecture"),
        (
            "t.csv",
            b"cell,acc\na,b,0.5\n",
            r"table: cannot read .*t.csv \(.*Expected 2 columns, got 3.*\).*quote texts that hold commas",
        ),
        ("t.csv", b"\xff\xfec", r"table: cannot read .*t.csv \(no text in utf-16\)"),
        ("t.csv", b"cell,acc\na,0.5\nb,\0\n", r"table: cannot read .*t.csv \(it holds zero bytes, so it is no text\)"),
        (
            "t.csv",
            b"cell,acc,acc\na,0.5,0.6\n",
            "the columns 2 and 3 of t.csv would all be called 'acc'; give one another name in",
        ),
        (
            "t.csv",
            b"cell,acc\na,0.5\nb,high\n",
            "row 3 .the header is row 1. of t.csv, column 'acc': expected a number; got 'high'",
        ),
        ("t.parquet", b"PAR1", "t.parquet is corrupt or not a Parquet file"),
    ],
)
def test_files_of_other_kinds_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        read_plain_file(tmp_path / name, "nasbench101", "cell", score="acc")


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=f"there is none at .*{name}"):
        read_plain_file(tmp_path / name, "nasbench101", "cell")


@pytest.mark.parametrize("written", ["$0.5", "0.5 (0.01)", "good"])
def test_an_accuracy_that_is_no_number_is_named_with_its_row(written: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"cell,note,acc\na,x,0.9\nb,y,{written}\n")
    with pytest.raises(TableError, match=r"row 3 \(the header is row 1\) of t.csv, column 'acc': expected a number"):
        read_plain_file(tmp_path / "t.csv", "nasbench101", "cell")
