"""Encoded images unpacked to the cache folder: once, atomically, and not without room."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.packing import packed


def test_images_are_unpacked_once(cache: Path) -> None:
    reads = []

    def images() -> list[bytes]:
        reads.append("once")
        return [b"one", b"", b"three"]

    for _ in range(2):
        found = packed("the file", "train.parquet", 8, images)
        assert [found.open(number) for number in range(len(found))] == [b"one", b"", b"three"]
    assert len(reads) == 1
    packed("another file", "train.parquet", 8, images)
    assert len(reads) == 2 and len(list((cache / "packed").iterdir())) == 4


def test_a_folder_without_room_is_named(cache: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"train\.parquet: expected a cache folder that can hold its images.*Set ARCHSEARCH_CACHE"
    ):
        packed("it", "train.parquet", 10**18, lambda: [b"one"])
    assert not list((cache / "packed").iterdir())
