"""Parts of a ledger are found in all levels, and corrupt ones are set aside."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from archsearch.cluster.ledger.part_files import PartFiles
from archsearch.errors import LedgerError

SCHEMA = pa.schema([("number", pa.int64()), ("error", pa.string())])


def table(*numbers: int) -> pa.Table:
    return pa.table({"number": list(numbers), "error": [None] * len(numbers)}, schema=SCHEMA)


@pytest.fixture
def parts() -> PartFiles:
    files = pafs._MockFileSystem()
    files.create_dir("ledger")
    return PartFiles(files, "ledger", SCHEMA)


def numbers(tables: list[pa.Table]) -> list[int]:
    return sorted(number for each in tables for number in each["number"].to_pylist())


def test_the_prefix_selects_among_new_parts_and_all_merged_ones_are_read(parts: PartFiles) -> None:
    parts.write("a~", table(1))
    parts.write("b~", table(2))
    parts.write("merged~", table(3), level=1)
    parts.write("merged~", table(4), level=2)
    assert numbers(parts.read_all()) == [1, 2, 3, 4]
    assert numbers(parts.read_all("a~")) == [1, 3, 4]


def test_names_are_sorted_and_of_one_level(parts: PartFiles) -> None:
    written = [parts.write(prefix, table(1)) for prefix in ("b~", "a~")]
    parts.write("merged~", table(1), level=1)
    assert parts.names(0) == sorted(written)
    assert parts.names(0, "b~") == written[:1]
    assert parts.names(2) == []


def test_missing_parts_are_none_and_removing_them_twice_is_no_error(parts: PartFiles) -> None:
    path = parts.write("a~", table(1))
    parts.remove([path, path])
    assert parts.read([path]) == [None]


@pytest.mark.parametrize(
    "wrong",
    [
        pa.table({"number": [None], "error": ["e"]}, schema=SCHEMA),
        pa.table({"number": ["no number"], "error": ["e"]}),
        pa.table({"error": ["e"]}),
    ],
)
def test_a_part_with_gaps_or_other_columns_is_set_aside(parts: PartFiles, wrong: pa.Table) -> None:
    path = parts.write("a~", wrong)
    parts.write("b~", table(2))
    assert numbers(parts.read_all()) == [2]
    assert parts.files.get_file_info(f"{path}.damaged").type == pafs.FileType.File


def test_a_folder_that_is_missing_is_an_error_of_the_ledger() -> None:
    parts = PartFiles(pafs._MockFileSystem(), "nowhere", SCHEMA)
    with pytest.raises(LedgerError, match="storage: cannot read the ledger in nowhere"):
        parts.names(0)
    with pytest.raises(LedgerError, match="storage: cannot write to the ledger in nowhere"):
        parts.write("a~", table(1))
