"""Accuracies by epoch from counts of right images."""

from __future__ import annotations

import pyarrow as pa

from archsearch.evaluators.tables.epoch_counts import epochs_of, with_epoch_accuracies

METADATA = {"images": '{"valid": 10, "test": 20}', "seeds": "2"}


def counts(*rows: list[int]) -> pa.Array:
    return pa.array(rows, pa.list_(pa.uint16(), 6))


def test_rows_are_seeds_by_epochs() -> None:
    table = pa.table({"architecture": ["a", "b"], "valid_correct": counts([1, 2, 3, 3, 4, 9], [0, 0, 0, 10, 10, 10])})
    table = table.replace_schema_metadata(METADATA)
    found = with_epoch_accuracies(table)
    assert found.column_names == ["architecture", "valid_correct", "valid_accuracy_e1", "valid_accuracy_e2"]
    assert found["valid_accuracy_e1"].to_pylist() == [0.2, 0.5]
    assert found["valid_accuracy_e2"].to_pylist() == [0.3, 0.5]
    assert found.schema.metadata == table.schema.metadata
    assert epochs_of(table) == 3


def test_other_tables_stay_as_they_are() -> None:
    plain = pa.table({"architecture": ["a"], "valid_accuracy": [0.5]})
    assert with_epoch_accuracies(plain) is plain
    assert epochs_of(plain) is None
    assert epochs_of(plain.replace_schema_metadata(METADATA)) is None
    assert with_epoch_accuracies(plain.replace_schema_metadata(METADATA)).column_names == plain.column_names
