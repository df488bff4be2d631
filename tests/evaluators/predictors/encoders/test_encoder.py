from __future__ import annotations

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.encoder import along_paths, nodes_in_order


@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "enas"])
def test_nodes_stand_in_the_order_inputs_others_padding(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(20)])
    operators, edges = nodes_in_order(batch)
    place = torch.where(operators == 0, 0, torch.where(operators == len(batch.vocabulary), 2, 1))
    assert (place.diff(dim=2) >= 0).all()
    assert edges.sum().item() == batch.adjacency.sum()
    for row in range(20):  # the operators of both ends of the edges are those of the batch
        ends = np.argwhere(batch.adjacency[row]).tolist()
        given = {(int(batch.operators[row, c, u]), int(batch.operators[row, c, v])) for c, u, v in ends}
        found = {(int(operators[row, c, u]), int(operators[row, c, v])) for c, v, u in edges[row].nonzero().tolist()}
        assert found == given


def test_the_sequence_contains_every_path() -> None:
    forward = torch.tensor([[False, True, True], [False, False, True], [False, False, False]])
    assert along_paths(forward) == [0, 1, 2]
    assert along_paths(forward.T) == [0, 1, 2] * 3
