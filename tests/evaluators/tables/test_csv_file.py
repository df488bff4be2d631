"""CSV files as spreadsheets, pandas and people write them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.csv_file import read_csv

EXPECTED = {"cell": ["|a~0|", "b, c"], "acc": ["93,1", "92.2"]}


@pytest.mark.parametrize(
    "content",
    [
        b'cell,acc\n|a~0|,"93,1"\n"b, c",92.2\n',
        b'cell,acc\r\n|a~0|,"93,1"\r\n"b, c",92.2',
        b'cell,acc\r|a~0|,"93,1"\r"b, c",92.2\r',
        b"cell;acc\n|a~0|;93,1\nb, c;92.2\n",
        b"cell\tacc\n|a~0|\t93,1\nb, c\t92.2\n",
        b"sep=;\r\ncell;acc\r\n|a~0|;93,1\r\nb, c;92.2\r\n",
        b'# measured by hand\n\ncell, acc\n|a~0|, "93,1"\n"b, c", 92.2\n'.replace(b', "', b',"'),
        b' cell ; acc \n |a~0| ; 93,1 \n\n"b, c";"92.2"\n;\n;\n',
        b"cell;acc;\n|a~0|;93,1;\nb, c;92.2;\n",
        codecs.BOM_UTF8 + b"cell;acc\n|a~0|;93,1\nb, c;92.2\n",
        "cell\tacc\n|a~0|\t93,1\nb, c\t92.2\n".encode("utf-16"),
        "cell\tacc\n|a~0|\t93,1\nb, c\t92.2\n".encode("utf-16-le"),
        b',cell,acc\n0,|a~0|,"93,1"\n1,"b, c",92.2\n',
        b'Unnamed: 0,cell,acc\n7,|a~0|,"93,1"\n9,"b, c",92.2\n',
        b"index;cell;acc\n0;|a~0|;93,1\n1;b, c;92.2\n",
    ],
)
def test_the_same_rows_in_many_forms(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert read_csv(tmp_path / "t.csv", "cell").rows.to_pydict() == EXPECTED


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('# by hand\ncell;acc\na;1\n\n"b\nb";2\nc;3\n')
    file = read_csv(tmp_path / "t.csv", "cell")
    assert (file.places, file.delimiter) == ((3, 5, 6), ";")
    (tmp_path / "t.csv").write_text("cell;acc\na;1\n\nb\n")
    with pytest.raises(TableError, match=r"t.csv \(row 4: Expected 2 columns, got 1\)"):
        read_csv(tmp_path / "t.csv", "cell")


def test_what_is_left_out_or_guessed_is_noted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("cell,,größe\na,0,1\nb,1,2\n".encode("cp1252"))
    file = read_csv(tmp_path / "t.csv", "cell")
    assert file.rows.column_names == ["cell", "größe"]
    assert file.notes == (
        "The file is no UTF-8; it was read as Windows-1252.",
        "Columns without a name or that count the rows were left out: column 2.",
    )


def test_an_index_that_is_named_is_kept(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",acc,index\na,1,5\nb,2,6\n")
    assert read_csv(tmp_path / "t.csv", "", keep=[""]).rows.to_pydict() == {
        "": ["a", "b"],
        "acc": ["1", "2"],
        "index": ["5", "6"],
    }
