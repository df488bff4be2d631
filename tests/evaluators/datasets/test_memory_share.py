"""The memory that images may take, and the sentence about those that take more."""

from __future__ import annotations

from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import memory_share
from archsearch.evaluators.datasets.memory_share import decoded_bytes, memory_limit, streamed_remark, usable_memory


def test_a_quarter_of_the_memory_unless_the_user_says_otherwise() -> None:
    assert memory_limit() == usable_memory() // 4
    assert memory_limit(1.5) == 1_500_000_000
    assert memory_limit(0) == 0
    with pytest.raises(ConfigurationError, match="memory_gb: expected gigabytes for the images in memory, from 0; got -1"):
        memory_limit(-1)


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = usable_memory()
    limit, none = tmp_path / "memory.max", tmp_path / "none"
    monkeypatch.setattr(memory_share, "_LIMITS", (none, limit))
    limit.write_text("max\n")
    assert usable_memory() >= whole
    limit.write_text("1000000\n")
    assert usable_memory() == 1_000_000


def test_sizes_are_known_from_counts() -> None:
    assert decoded_bytes(1_281_167, (3, 224, 224)) == 192_851_506_176
    assert streamed_remark(100_000, (3, 224, 224), 4_000_000_000) == (
        "100,000 images of 3 x 224 x 224 would take 15.1 GB of memory, more than the 4 GB for images (memory_gb): they are "
        "decoded as they are needed, with the same results."
    )
