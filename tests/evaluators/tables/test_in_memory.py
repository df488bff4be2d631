from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from archsearch.errors import TableError
from archsearch.evaluators.tables.in_memory import InMemoryContent
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def test_rows_are_found_by_text_and_else_by_key(cells: list[Architecture]) -> None:
    first, same, other, *_ = cells
    table = pa.table({"arch": [str(first), str(other)], "score": [0.5, 0.7], "seconds": [1.0, None], "note": ["a", "b"]})
    content = InMemoryContent(SPACE, table, "small")
    assert content.metrics == ("score",)
    assert content.find([other, same, cells[3]]).tolist() == [1, 0, -1]
    assert content.seconds.tolist() == [1.0, 0.0]
    assert content.keys([same], np.array([0])) == [SPACE.key(first)]
    assert (len(content), content.chance, content.cost_arguments) == (2, 0.0, {})
    scores = content.column("score")
    assert content.digest(scores, "score") != content.digest(scores + 1, "score")


def test_a_table_needs_a_column_of_architectures_of_the_space() -> None:
    with pytest.raises(TableError, match="table small: expected a column 'architecture' or 'arch'"):
        InMemoryContent(SPACE, pa.table({"score": [0.5]}), "small")
    content = InMemoryContent(SPACE, pa.table({"architecture": ["nonsense"], "score": [0.5]}), "small")
    with pytest.raises(TableError, match="table small, row 0"):
        content.find([SPACE.sample(np.random.default_rng(0))])
