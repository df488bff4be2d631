"""Sizes of chunks by the measured speed, and slices of batches of any form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.cluster.pool.chunking import ChunkSizer, batch_length, batch_rows
from archsearch.errors import ConfigurationError
from archsearch.spaces import get


def drive(sizer: ChunkSizer, fixed_cost: float, cost: float, total: int, actors: int = 1) -> list[int]:
    """Return the sizes of the chunks of a call whose candidates cost `cost` seconds each."""
    sizes = []
    while total:
        sizes.append(sizer.next(total, actors))
        total -= sizes[-1]
        sizer.observe(sizes[-1], fixed_cost + cost * sizes[-1])
    return sizes


def test_sizes_grow_until_a_chunk_takes_the_target() -> None:
    sizes = drive(ChunkSizer(target=1.0), fixed_cost=0.0, cost=1 / 1024, total=10_000)
    assert sizes[:4] == [1, 8, 64, 512]
    assert set(sizes[4:-1]) == {1024}


@given(st.floats(0, 0.01), st.floats(1e-6, 0.1))
def test_a_chunk_does_not_take_longer_than_the_target(fixed_cost: float, cost: float) -> None:
    sizer = ChunkSizer(target=0.5)
    sizes = drive(sizer, fixed_cost, cost, total=5_000)
    assert sum(sizes) == 5_000
    assert all(fixed_cost + cost * size <= 0.5 * 1.001 or size == 1 for size in sizes)


def test_slower_candidates_make_chunks_smaller_again() -> None:
    sizer = ChunkSizer(target=1.0)
    drive(sizer, 0.0, 0.001, 5_000)
    before = sizer.next(10_000, 1)
    drive(sizer, 0.0, 0.1, 2_000)
    assert sizer.next(10_000, 1) <= 11 < before


def test_last_candidates_are_shared_among_actors() -> None:
    sizer = ChunkSizer(target=1.0)
    drive(sizer, 0.0, 1 / 1024, 5_000)
    sizes = drive(sizer, 0.0, 1 / 1024, 3_000, actors=4)
    assert sizes[0] == 375
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes[:-1]) == 10, "a hundredth of a second"


@given(st.integers(1, 50), st.integers(1, 200), st.integers(1, 8))
def test_fixed_size_depends_on_nothing(size: int, total: int, actors: int) -> None:
    sizes = drive(ChunkSizer(target=1.0, fixed=size), 0.1, 0.1, total, actors)
    assert sizes[:-1] == [size] * (len(sizes) - 1)
    assert sum(sizes) == total


def test_no_chunk_is_larger_than_half_of_what_did_not_fit() -> None:
    sizer = ChunkSizer(target=1.0)
    drive(sizer, 0.0, 1e-4, 20_000)
    sizer.outgrown(1000)
    assert sizer.next(10_000, 1) == 500
    sizer.outgrown(500)
    sizer.outgrown(1000)  # a chunk that was sent before
    assert sizer.next(10_000, 1) == 250


def test_every_form_of_batch_is_sliced() -> None:
    texts = [f"candidate{number}" for number in range(7)]
    array = np.arange(21).reshape(7, 3)
    space = get("nasbench201")
    graphs = space.encode([space.sample(np.random.default_rng(seed)) for seed in range(7)])
    for batch in (texts, tuple(texts), array, {"a": array, "b": array[:, 0]}, graphs):
        assert batch_length(batch) == 7
        assert batch_length(batch_rows(batch, 2, 5)) == 3
    assert batch_rows(texts, 2, 4) == texts[2:4]
    assert batch_rows({"a": array}, 2, 4)["a"].tolist() == array[2:4].tolist()
    assert batch_rows(graphs, 2, 4).operators.tolist() == graphs.operators[2:4].tolist()
    assert batch_length([]) == batch_length(np.zeros((0, 3))) == 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ("one text", "one text"),
        (3, "got int"),
        ({1, 2}, "got set"),
        (np.array(1.0), "got ndarray"),
        ({"a": [1, 2], "b": [1]}, "one length"),
        ({}, "none"),
    ],
)
def test_batches_that_cannot_be_sliced_are_refused(batch: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        batch_length(batch)
