"""A small imported table, and a new cache folder for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from archsearch import spaces
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.draft import TableDraft
from archsearch.evaluators.tables.table_file import write_layout
from archsearch.spaces import Architecture

SPACE = spaces.get("nasbench201")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder."""
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def cells() -> list[Architecture]:
    """Six cells: the second is isomorphic to the first."""
    texts = [
        "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|",
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|none~1|skip_connect~2|",
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|",
    ]
    return [SPACE.parse(text) for text in texts]


@pytest.fixture
def make_draft(cells: list[Architecture]) -> Callable[..., TableDraft]:
    """Makes the draft of a table of the first cells."""

    def make(
        scores: list[float | None], texts: list[Any] | None = None, score: str = "valid_accuracy", **columns: Any
    ) -> TableDraft:
        texts = [str(cell) for cell in cells[: len(scores)]] if texts is None else texts
        rows = pa.table(
            {"architecture": pa.array(texts, pa.string()), "valid_accuracy": pa.array(scores, pa.float64()), **columns}
        )
        return TableDraft(SPACE.name, rows, score, "made up", 0.1, {"channels": 8}, {"macs": "multiply-accumulates of one image"})

    return make


@pytest.fixture
def stored(make_draft: Callable[..., TableDraft], tmp_path: Path) -> Path:
    """A table of the first five cells, written."""
    draft = make_draft(
        [0.5, 0.6, 0.7, 0.8, 0.9],
        test_accuracy=pa.array([0.51, None, 0.71, 0.81, 0.91], pa.float32()),
        macs=pa.array([1, 2, 3, 4, 5], pa.int32()),
        seconds=[1.5, 2.5, 3.5, 4.5, 5.5],
    )
    write_layout(check(draft, SPACE), draft, tmp_path / "small.parquet")
    return tmp_path / "small.parquet"


@pytest.fixture(scope="session")
def write_records() -> Callable[[Path, list[bytes]], Path]:
    """Writes a TFRecord file, its checksums counted byte by byte."""

    def masked(data: bytes) -> bytes:
        register = 0xFFFFFFFF
        for byte in data:
            register = register >> 8 ^ CASTAGNOLI[(register ^ byte) & 0xFF]
        register ^= 0xFFFFFFFF
        return ((register >> 15 | register << 17 & 0xFFFFFFFF) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")

    def write(path: Path, records: list[bytes]) -> Path:
        lengths = [len(record).to_bytes(8, "little") for record in records]
        parts = [
            part for length, data in zip(lengths, records, strict=True) for part in (length, masked(length), data, masked(data))
        ]
        path.write_bytes(b"".join(parts))
        return path

    return write


def _castagnoli(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CASTAGNOLI = [_castagnoli(byte) for byte in range(256)]
