from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.parquet_file import open_parquet, read_parquet


def test_a_file_is_read_and_every_cut_of_it_refused(tmp_path: Path) -> None:
    path, table = tmp_path / "t.parquet", pa.table({"a": [1, 2, 3]})
    pq.write_table(table, path)
    assert read_parquet(path).equals(table)
    with open_parquet(path) as file:
        assert file.metadata.num_rows == 3
    content = path.read_bytes()
    for size in range(0, len(content), 37):
        path.write_bytes(content[:size])
        with pytest.raises(TableError, match="t.parquet is corrupt or not a Parquet file .*; fetch or make it again"):
            read_parquet(path)
    with pytest.raises(TableError, match="there is none at .*nowhere"):
        read_parquet(tmp_path / "nowhere")
