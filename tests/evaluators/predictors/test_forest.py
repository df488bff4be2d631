"""Forests over graph features: the order they learn, states, and wrong arguments."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.forest import Forest

SPACE = spaces.get("nasbench201")
GENOTYPES = np.random.default_rng(0).integers(5, size=(260, 6))
BATCH = SPACE.canonical_graphs(SPACE.encode_genotypes(GENOTYPES))  # type: ignore[attr-defined]
SCORES = 0.05 + 0.14 * (BATCH.operators[:, 0] == 5).sum(axis=1)  # 3x3 convolutions


def fitted(**arguments: Any) -> Forest:
    return Forest(SPACE, **{"trees": 20, **arguments}).fit(BATCH[:60], SCORES[:60])


def test_it_learns_the_order() -> None:
    predicted = fitted().predict(BATCH[60:])
    assert kendall_tau(SCORES[60:], predicted) > 0.6
    assert abs(predicted).max() < 3.0, "normal quantiles"


def test_the_outcome_depends_on_seed_and_data_alone() -> None:
    expected = fitted().predict(BATCH)
    np.random.seed(1)  # the global generator must not matter
    np.testing.assert_array_equal(fitted().predict(BATCH), expected)
    assert not np.array_equal(fitted(seed=1).predict(BATCH), expected)
    np.testing.assert_array_equal(fitted().predict(fitted().prepare(BATCH)[50:70]), expected[50:70])


def test_a_saved_state_is_plain_and_grows_the_same_trees() -> None:
    buffer = io.BytesIO()
    forest = fitted(seed=3)
    torch.save(
        {name: torch.tensor(value) if isinstance(value, np.ndarray) else value for name, value in forest.state().items()}, buffer
    )
    buffer.seek(0)
    state = {
        name: value.numpy() if hasattr(value, "numpy") else value for name, value in torch.load(buffer, weights_only=True).items()
    }
    np.testing.assert_array_equal(Forest(SPACE, trees=20).load(state).predict(BATCH), forest.predict(BATCH))
    for other, name in ((Forest(SPACE, trees=21), "trees"), (Forest(spaces.get("nasbench101"), trees=20), "space")):
        with pytest.raises(ConfigurationError, match=name):
            other.load(state)
    with pytest.raises(ConfigurationError, match="forest"):
        Forest(SPACE, trees=20).load({**state, "points": "gone"})


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="trees: expected a whole number"):
        Forest(SPACE, trees=0)
    with pytest.raises(ConfigurationError, match="features: "):
        Forest(SPACE, features="path")
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        Forest(SPACE).predict(BATCH)
    with pytest.raises(ConfigurationError, match="scores: expected at least two different ones"):
        Forest(SPACE).fit(BATCH[:3], [0.5, 0.5, 0.5])
    with pytest.raises(ConfigurationError, match="expected features"):
        fitted().predict(np.zeros((2, 3), dtype=np.float32))
