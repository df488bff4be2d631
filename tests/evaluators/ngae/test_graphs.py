from __future__ import annotations

import numpy as np
import pytest

from archsearch import spaces
from archsearch.evaluators.ngae.graphs import ABSENT, from_batch, to_batch


@pytest.mark.parametrize("name", spaces.names())
def test_tensors_and_back(name: str) -> None:
    space = spaces.get(name)
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(40)]
    batch = space.encode(architectures)
    graphs = from_batch(batch, batch.operators.shape[2] + 1)
    there = graphs.types[:, :, -1] != ABSENT
    assert there.all()
    assert (graphs.types[:, :, -1] == space.vocabulary.index("output") + 1).all()
    exact = from_batch(batch, batch.operators.shape[2])
    assert space.decode(to_batch(exact, space.vocabulary)) == architectures


def test_absent_vertices_stand_before_the_output() -> None:
    space = spaces.get("nasbench101")
    small = space.from_adjacency(0b101, [0])
    graphs = from_batch(space.encode([small]), 7)
    assert (graphs.types[0, 0] != ABSENT).tolist() == [True, True, False, False, False, False, True]
    assert graphs.edges[0, 0].nonzero().tolist() == [[0, 1], [1, 6]]
