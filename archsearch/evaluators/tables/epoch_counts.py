"""Accuracies after each epoch, from a table's counts of the images that are classified right, as `digits201` has them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_COUNTS = "_correct"


def with_epoch_accuracies(table: pa.Table) -> pa.Table:
    """Return a table with a column `PART_accuracy_eN` for each epoch N but the last, for each column of counts `PART_correct`.

    A row of counts is a list `[seeds x epochs]`, seed by seed; the accuracy is the mean over the seeds. The numbers of images and
    of seeds stand in the metadata `images` and `seeds`. Other tables are returned as they are.

    Args:
        table: One row an architecture.
    """
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if not {"images", "seeds"} <= metadata.keys():
        return table
    images, seeds = json.loads(metadata["images"]), int(metadata["seeds"])
    for part, number in images.items():
        if f"{part}{_COUNTS}" in table.column_names:
            for epoch, accuracies in enumerate(_accuracies(table[f"{part}{_COUNTS}"], number, seeds)[:-1], 1):
                table = table.append_column(f"{part}_accuracy_e{epoch}", pa.array(accuracies))
    return table


def epochs_of(table: pa.Table) -> int | None:
    """Return the number of epochs of a table with columns of counts; None for another table."""
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    counts = [field for field in table.schema if field.name.endswith(_COUNTS) and pa.types.is_fixed_size_list(field.type)]
    if "seeds" not in metadata or not counts:
        return None
    epochs: int = counts[0].type.list_size // int(metadata["seeds"])
    return epochs


def _accuracies(counts: pa.ChunkedArray, images: int, seeds: int) -> NDArray[Any]:
    """Return accuracies, `[epochs, rows]`, from lists of counts."""
    flat = counts.combine_chunks().flatten().to_numpy().astype(np.float64)
    return np.ascontiguousarray(flat.reshape(len(counts), seeds, -1).mean(axis=1).T / images)
