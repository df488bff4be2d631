"""The Parquet layout: what is written is read, and corrupt files are refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from archsearch import spaces
from archsearch.errors import TableError
from archsearch.evaluators import TabularEvaluator
from archsearch.evaluators.tables.card import ColumnCard, TableCard
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.hashes import hashes_of
from archsearch.evaluators.tables.table_file import LayoutFile, checksum, is_layout, write_layout
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")
MakeDraft = Callable[..., TableDraft]


def test_a_table_is_laid_out_as_documented(stored: Path, cells: list[Architecture]) -> None:
    table = pq.read_table(stored)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("architecture", "string"),
        ("key", "string"),
        ("architecture_hash", "uint64"),
        ("key_hash", "uint64"),
        ("valid_accuracy", "double"),
        ("test_accuracy", "float"),
        ("macs", "int32"),
        ("seconds", "double"),
    ]
    texts, keys = [str(cell) for cell in cells[:5]], [SPACE.key(cell) for cell in cells[:5]]
    assert (table["architecture"].to_pylist(), table["key"].to_pylist()) == (texts, keys)
    assert table["architecture_hash"].to_pylist() == hashes_of(texts).tolist()
    assert table["key_hash"].to_pylist() == hashes_of(keys).tolist()
    metadata = {
        name: table.schema.metadata[f"archsearch.{name}".encode()] for name in ("layout", "space", "score", "chance", "cost")
    }
    assert metadata == {
        "layout": b"1",
        "space": b"nasbench201",
        "score": b"valid_accuracy",
        "chance": b"0.1",
        "cost": b'{"channels": 8}',
    }
    assert pq.ParquetFile(stored).num_row_groups == 1


def test_columns_are_read_as_they_were_written(stored: Path, cells: list[Architecture]) -> None:
    file = LayoutFile(stored)
    assert file.metrics == ("valid_accuracy", "test_accuracy", "macs")
    assert file.numbers("macs").tolist() == [1, 2, 3, 4, 5]
    assert file.numbers("macs").dtype == np.int32
    np.testing.assert_array_equal(file.numbers("test_accuracy"), np.array([0.51, np.nan, 0.71, 0.81, 0.91], np.float32))
    assert file.strings("architecture").to_pylist() == [str(cell) for cell in cells[:5]]
    assert file.samples == [(str(cell), SPACE.key(cell)) for cell in cells[:5]]


def test_the_card_says_what_a_table_holds(stored: Path, make_draft: MakeDraft) -> None:
    card = LayoutFile(stored).card
    assert (card.name, card.space, card.source, card.rows, card.structures) == ("small", "nasbench201", "made up", 5, 4)
    assert (card.score, card.chance, card.cost) == ("valid_accuracy", 0.1, {"channels": 8})
    assert card.columns == (
        ColumnCard("valid_accuracy", "a fraction", 0, 0.5, 0.9),
        ColumnCard("test_accuracy", "a fraction", 1, float(np.float32(0.51)), float(np.float32(0.91))),
        ColumnCard("macs", "multiply-accumulates of one image", 0, 1.0, 5.0),
        ColumnCard("seconds", "", 0, 1.5, 5.5),
    )
    assert TableCard.from_json(card.to_json()) == card
    page = stored.with_suffix(".md").read_text()
    assert page == card.markdown()
    for line in (
        "# small",
        "- rows: 5 architectures of 4 distinct structures",
        "- networks: channels = 8",
        "| test_accuracy | a fraction | 0.51 | 0.91 | 1 |",
        "| macs | multiply-accumulates of one image | 1 | 5 |  |",
    ):
        assert line in page.splitlines()


def test_the_card_says_what_was_converted_and_left_out(make_draft: MakeDraft, tmp_path: Path) -> None:
    draft = make_draft([50.0, None], device=["a", "b"], latency=[None, 1.0])
    card = write_layout(check(draft, SPACE, drop_missing=True), draft, tmp_path / "notes.parquet")
    assert card.columns[0] == ColumnCard("valid_accuracy", "a fraction, was percent", 0, 0.5, 0.5)
    assert card.columns[1] == ColumnCard("latency", "", 1, None, None)
    lines = (tmp_path / "notes.md").read_text().splitlines()
    assert lines[-3:] == [f"- {note}" for note in card.notes]
    assert "| latency |  |  |  | 1 |" in lines


def test_a_table_is_written_atomically(stored: Path, make_draft: MakeDraft, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored.read_bytes()
    files = sorted(stored.parent.iterdir())
    draft = make_draft([0.1, 0.2])
    checked = check(draft, SPACE)
    write_table = pq.write_table

    def killed_midway(table: pa.Table, where: Any, **options: Any) -> None:
        write_table(table, where, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", killed_midway)
    with pytest.raises(KeyboardInterrupt):
        write_layout(checked, draft, stored)
    assert stored.read_bytes() == before
    assert sorted(stored.parent.iterdir()) == files
    monkeypatch.undo()
    write_layout(checked, draft, stored)
    assert LayoutFile(stored).card.rows == 2
    assert sorted(stored.parent.iterdir()) == files


def test_a_folder_that_cannot_be_made_is_refused(make_draft: MakeDraft, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    draft = make_draft([0.1])
    with pytest.raises(TableError, match=r"table: cannot write .*taken/t.parquet \(.*\); set ARCHSEARCH_CACHE to a folder"):
        write_layout(check(draft, SPACE), draft, tmp_path / "taken" / "t.parquet")


# Checksums


def test_checksums_do_not_depend_on_how_values_are_stored() -> None:
    texts = ["a", "", "äbc", "d"]
    whole = pa.chunked_array([pa.array(texts)])
    parts = pa.chunked_array([pa.array(["x", *texts[:3]]).slice(1), pa.array([], pa.string()), pa.array(texts[3:])])
    assert checksum(whole) == checksum(parts)
    numbers = pa.chunked_array([pa.array([1.0, 2.0, 3.0])])
    assert checksum(numbers) == checksum(pa.chunked_array([pa.array([0.0, 1.0, 2.0]).slice(1), pa.array([3.0])]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["a", "b"], ["b", "a"]),
        ([1.0, 2.0], [2.0, 1.0]),
        ([1, 2], [1.0, 2.0]),
        ([0.0], [-0.0]),
    ],
)
def test_other_values_have_other_checksums(one: list[Any], other: list[Any]) -> None:
    assert checksum(pa.chunked_array([pa.array(one)])) != checksum(pa.chunked_array([pa.array(other)]))


@pytest.mark.parametrize("column", ["architecture", "key", "architecture_hash", "valid_accuracy", "macs", "seconds"])
def test_a_column_of_other_values_is_refused_when_it_is_read(column: str, stored: Path) -> None:
    table = pq.read_table(stored)
    place = table.column_names.index(column)
    values = table[column].to_pylist()
    swapped = pa.array([*values[::-1]], table[column].type)
    pq.write_table(table.set_column(place, table.schema.field(place), swapped), stored)
    file = LayoutFile(stored)
    assert file.numbers("key_hash").tolist() == table["key_hash"].to_pylist()
    with pytest.raises(
        TableError, match=rf"table: the column '{column}' of .*small.parquet is corrupt .*; import the table again"
    ):
        file.strings(column)


def test_another_description_is_refused(stored: Path) -> None:
    table = pq.read_table(stored)
    metadata = {**table.schema.metadata, b"archsearch.cost": b'{"channels": 9}'}
    pq.write_table(table.replace_schema_metadata(metadata), stored)
    with pytest.raises(TableError, match=r"table: its description of .*small.parquet is corrupt .*; import the table again"):
        LayoutFile(stored)


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_found_or_does_no_harm(seed: int, stored: Path, cells: list[Architecture]) -> None:
    def content() -> Any:
        evaluator = TabularEvaluator.from_parquet(SPACE, stored)
        figures = [(each.key, each.score, each.metrics, each.seconds) for each in evaluator.evaluate(cells[:5])]
        return figures, evaluator.architectures, evaluator.chance, evaluator.cost_arguments, evaluator.fingerprint()

    whole, rng, expected = stored.read_bytes(), random.Random(seed), content()
    found = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        stored.write_bytes(damaged)
        try:
            assert content() == expected
        except TableError:
            found += 1
    assert found > 20


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(share: float, stored: Path) -> None:
    content = stored.read_bytes()
    stored.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TableError, match="is corrupt or not a Parquet file"):
        LayoutFile(stored)


# Other files


def test_other_parquet_files_are_distinguished(stored: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"architecture": ["a"]}), tmp_path / "plain.parquet")
    assert is_layout(stored)
    assert not is_layout(tmp_path / "plain.parquet")
    with pytest.raises(TableError, match="plain.parquet was not written by `archsearch import`; import it first"):
        LayoutFile(tmp_path / "plain.parquet")


def test_a_newer_layout_is_refused(stored: Path) -> None:
    table = pq.read_table(stored)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"archsearch.layout": b"2"}), stored)
    with pytest.raises(TableError, match="has layout 2; this version of archsearch reads 1. Update archsearch, or import"):
        LayoutFile(stored)
