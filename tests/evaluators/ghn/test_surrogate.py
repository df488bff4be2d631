"""The resident hypernetwork: strings in, columns out, states loaded into another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from archsearch.errors import ArchitectureError, ArchSearchError
from archsearch.evaluators.ghn.surrogate import GHNSurrogate
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
SMALL: dict[str, Any] = {"scale": {"channels": 2, "cells_per_stage": 1}, "hidden": 8, "width": 8, "tile": 2, "batch_size": 16}


def test_a_state_gives_the_same_scores_in_another_surrogate() -> None:
    rng = np.random.default_rng(0)
    texts = [str(SPACE.sample(rng)) for _ in range(3)]
    state = GHNSurrogate(SPACE, "digits", **SMALL).fit(steps=2)
    resident = GHNSurrogate(SPACE, "digits", seed=3, **SMALL)
    resident.load(state)
    columns = resident.evaluate(texts)
    assert {"score", "seconds", "valid_accuracy", "valid_loss"} <= set(columns)
    assert all(column.shape == (3,) for column in columns.values())
    evaluations = resident.ghn.evaluate([SPACE.parse(text) for text in texts])
    assert columns["score"].tolist() == [evaluation.score for evaluation in evaluations]
    assert resident.score(texts[::-1]).tolist() == columns["score"].tolist()[::-1]
    assert resident.score([]).shape == (0,)
    assert resident.fit(steps=4)["steps"] == 4, "a fit continues from the state loaded"


def test_candidates_that_cannot_be_scored_raise() -> None:
    resident = GHNSurrogate(SPACE, "digits", **SMALL)
    resident.fit(steps=1)
    with pytest.raises(ArchitectureError):
        resident.score(["nothing"])
    learned = resident.ghn._learned
    assert learned is not None
    with torch.no_grad():
        learned.model.kinds.fill_(float("nan"))
    with pytest.raises(ArchSearchError, match="not finite"):
        resident.score([str(SPACE.sample(np.random.default_rng(0)))])
