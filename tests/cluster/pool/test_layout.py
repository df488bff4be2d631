"""Settings of a pool are checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archsearch.cluster.pool.layout import PoolLayout
from archsearch.errors import ConfigurationError

LAYOUT = PoolLayout(
    name="pool",
    actors=2,
    threads=1,
    cpus=0.5,
    gpus=0.0,
    shared=False,
    chunk_seconds=0.25,
    chunk_size=None,
    hang_seconds=None,
)


def test_each_actor_has_a_name() -> None:
    assert [LAYOUT.actor_name(index) for index in range(2)] == ["pool-0", "pool-1"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", "a pool", "name: expected letters, digits"),
        ("name", "", "name: expected letters, digits"),
        ("actors", 0, "actors: expected"),
        ("threads", 1.5, "threads: expected"),
        ("chunk_size", 0, "chunk_size: expected"),
        ("cpus", -1.0, "cpus: expected at least 0; got -1.0"),
        ("gpus", float("nan"), "gpus: expected at least 0"),
        ("chunk_seconds", 0.0, "chunk_seconds: expected more than 0 seconds"),
        ("hang_seconds", -1.0, "hang_seconds: expected more than 0 seconds"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(LAYOUT, **{name: value})
