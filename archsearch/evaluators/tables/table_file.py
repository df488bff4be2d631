"""The Parquet layout of imported benchmark tables, with checksums and a data card.

A file holds one row an architecture, in one row group:

- `architecture` (string): the text, as the space writes it; each comes once.
- `key` (string): the canonical identity. Several texts may share one, with different figures.
- `architecture_hash`, `key_hash` (uint64): of both, by `hashes.hashes_of`, for look-up.
- metrics, in the type of their source; accuracies as fractions. Where a row has no value, NaN.
- `seconds`, where known: the cost of the evaluation when it was made.

The file's metadata names the layout's version, the space, the column to score by, the score of a random guess and the
arguments of `space.cost`. It holds a checksum of each column, one of itself, some architectures with their keys, to detect a
space whose keys have changed, and the data card, which is also written next to the file as a page in Markdown.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from archsearch.atomic_file import written_atomically
from archsearch.errors import TableError
from archsearch.evaluators.tables.card import ColumnCard, TableCard
from archsearch.evaluators.tables.checks import ARCHITECTURE_HASH, KEY, KEY_HASH, RESERVED, CheckedTable
from archsearch.evaluators.tables.columns import ARCHITECTURE, SECONDS, is_accuracy
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.hashes import hashes_of
from archsearch.evaluators.tables.parquet_file import open_parquet

VERSION = "1"
_PREFIX = "archsearch."
_OWN_CHECKSUM = f"{_PREFIX}checksum"
_SAMPLES = 8


def write_layout(checked: CheckedTable, draft: TableDraft, path: Path) -> TableCard:
    """Write a table atomically, with its card next to it as a page in Markdown, and return the card.

    Args:
        checked: The rows, by `checks.check`.
        draft: The table as read.
        path: The Parquet file; its stem is the name of the table.

    Raises:
        TableError: The file cannot be written.
    """
    columns = {
        ARCHITECTURE: pa.array(checked.texts, pa.string()),
        KEY: pa.array(checked.keys, pa.string()),
        ARCHITECTURE_HASH: pa.array(hashes_of(checked.texts)),
        KEY_HASH: pa.array(hashes_of(checked.keys)),
        **{name: pa.array(values) for name, values in checked.columns.items()},
    }
    table = pa.table(columns)
    card = _card(checked, draft, path.stem)
    table = table.replace_schema_metadata(_metadata(table, card))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path) as temporary:
            # Hashes look random: neither a dictionary nor compression makes them smaller.
            dictionary = [name for name in columns if name not in (*RESERVED, SECONDS)]
            pq.write_table(table, temporary, compression="zstd", use_dictionary=dictionary, row_group_size=max(1, len(table)))
        with written_atomically(path.with_suffix(".md")) as temporary:
            temporary.write_text(card.markdown(), encoding="utf-8")
    except OSError as error:
        raise TableError(
            f"table: cannot write {path} ({error.strerror or error}); set ARCHSEARCH_CACHE to a folder that can be written."
        ) from error
    return card


class LayoutFile:
    """A table in the layout, open by memory map.

    Args:
        path: The Parquet file.

    Attributes:
        card: The data card.
        samples: Some architectures, by text, with their keys.
        checksums: Checksum of each column, by its name.
        metrics: Names of the numeric columns, `seconds` left out.

    Raises:
        TableError: The file is missing, corrupt, not in the layout, or in a newer one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_parquet(path)
        metadata = _texts_of(self._file.metadata.metadata)
        if f"{_PREFIX}layout" not in metadata:
            raise TableError(f"table: {path} was not written by `archsearch import`; import it first.")
        if metadata[f"{_PREFIX}layout"] != VERSION:
            raise TableError(
                f"table: {path} has layout {metadata[f'{_PREFIX}layout']}; this version of archsearch reads {VERSION}. "
                "Update archsearch, or import the table again."
            )
        if metadata.get(_OWN_CHECKSUM) != _checksum_of(metadata):
            raise _corrupt(path, "its description")
        self.card = TableCard.from_json(metadata[f"{_PREFIX}card"])
        self.samples: list[tuple[str, str]] = [(text, key) for text, key in json.loads(metadata[f"{_PREFIX}samples"])]
        self.checksums: dict[str, str] = json.loads(metadata[f"{_PREFIX}checksums"])
        self.metrics = tuple(name for name in self.checksums if name not in (*RESERVED, SECONDS))

    def strings(self, name: str) -> pa.ChunkedArray:
        """Return a column of strings.

        Raises:
            TableError: Its checksum differs.
        """
        try:
            column = self._file.read([name], use_threads=False)[name]
            intact = checksum(column) == self.checksums[name]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _corrupt(self.path, f"the column {name!r}") from error
        if not intact:
            raise _corrupt(self.path, f"the column {name!r}")
        return column

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers, `[rows]`.

        Raises:
            TableError: Its checksum differs.
        """
        return _values(self.strings(name))


def is_layout(path: Path) -> bool:
    """Return whether a Parquet file was written by `write_layout`, in any version of the layout.

    Raises:
        TableError: The file is missing or corrupt.
    """
    with open_parquet(path) as file:
        return f"{_PREFIX}layout" in _texts_of(file.metadata.metadata)


def checksum(column: pa.ChunkedArray) -> str:
    """Return the checksum of a column's values, in 16 hexadecimal digits; it does not depend on how they are stored."""
    digest = hashlib.blake2b(str(column.type).encode(), digest_size=8)
    if not pa.types.is_string(column.type):
        digest.update(_values(column).data)
        return digest.hexdigest()
    digest.update(_values(pc.binary_length(column)).data)
    for chunk in column.chunks:
        if len(chunk):
            _, offsets, content = chunk.buffers()
            bounds = np.frombuffer(offsets, dtype=np.int32)[[chunk.offset, chunk.offset + len(chunk)]]
            digest.update(memoryview(content)[bounds[0] : bounds[1]])
    return digest.hexdigest()


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
    # pyarrow's own to_numpy imports pandas, which takes longer than reading the table.
    values: NDArray[Any] = np.from_dlpack(column.combine_chunks())
    return values


def _card(checked: CheckedTable, draft: TableDraft, name: str) -> TableCard:
    return TableCard(
        name=name,
        space=draft.space,
        source=draft.source,
        rows=len(checked.texts),
        structures=len(set(checked.keys)),
        score=draft.score,
        chance=draft.chance,
        cost=json.loads(json.dumps(dict(draft.cost))),
        columns=tuple(
            _column_card(column, values, draft.columns.get(column, ""), column in checked.percent)
            for column, values in checked.columns.items()
        ),
        notes=checked.notes,
        date=datetime.now(UTC).date().isoformat(),
    )


def _column_card(name: str, values: NDArray[Any], meaning: str, converted: bool) -> ColumnCard:
    finite = values[np.isfinite(values)]
    lowest, highest = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    if converted:
        meaning = f"{meaning + '; ' if meaning else ''}a fraction, was percent"
    elif not meaning and is_accuracy(name):
        meaning = "a fraction"
    return ColumnCard(name=name, meaning=meaning, missing=len(values) - len(finite), lowest=lowest, highest=highest)


def _metadata(table: pa.Table, card: TableCard) -> dict[str, str]:
    rows = sorted(set(np.linspace(0, len(table) - 1, _SAMPLES).astype(int).tolist()))
    metadata = {
        "layout": VERSION,
        "space": card.space,
        "score": card.score,
        "chance": repr(card.chance),
        "cost": json.dumps(card.cost),
        "samples": json.dumps([(table[ARCHITECTURE][row].as_py(), table[KEY][row].as_py()) for row in rows]),
        "checksums": json.dumps({name: checksum(table[name]) for name in table.column_names}),
        "card": card.to_json(),
    }
    metadata = {f"{_PREFIX}{name}": value for name, value in metadata.items()}
    return {**metadata, _OWN_CHECKSUM: _checksum_of(metadata)}


def _checksum_of(metadata: dict[str, str]) -> str:
    own = {name: value for name, value in metadata.items() if name.startswith(_PREFIX) and name != _OWN_CHECKSUM}
    return hashlib.blake2b(json.dumps(own, sort_keys=True).encode(), digest_size=8).hexdigest()


def _texts_of(metadata: dict[bytes, bytes] | None) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in (metadata or {}).items()}


def _corrupt(path: Path, what: str) -> TableError:
    return TableError(f"table: {what} of {path} is corrupt (its checksum differs); import the table again.")
