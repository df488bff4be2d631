"""Columns, errors and stale answers that an actor returns for its model."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from archsearch.cluster.pool.actor import ModelActor, Request, Stale, as_columns, describe


class Echo:
    def score(self, batch: Any) -> Any:
        return batch


def test_scores_and_columns_become_arrays() -> None:
    assert as_columns([1, 2], 2)["score"].tolist() == [1, 2]
    columns = as_columns({"loss": np.ones((2, 3)), "score": (True, False)}, 2)
    assert {name: column.shape for name, column in columns.items()} == {"loss": (2, 3), "score": (2,)}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "expected figures for the 2 candidates of a chunk in `score`"),
        (1.0, "expected figures for the 2 candidates of a chunk in `score`"),
        (["a", "b"], "expected numbers in `score`; got <U1"),
        ([None, None], "expected numbers"),
        ({"loss": [1, 2]}, "expected a column `score`; got loss"),
        ({}, "got no column"),
    ],
)
def test_columns_without_figures_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_columns(value, 2)


def test_error_is_described_in_one_line() -> None:
    assert describe(ValueError("first\nsecond")) == "ValueError: first"
    assert describe(KeyError()) == "KeyError"


def test_a_missing_state_is_requested() -> None:
    actor = ModelActor(pickle.dumps(Echo), 1, 0.0, "none")
    assert isinstance(actor.work(Request("score", [1], {}, "main", version=1)), Stale)
    new = actor.work(Request("score", [1], {}, "main", version=0))
    assert (new.value["score"].tolist(), new.version) == ([1], 0)
    missing = actor.work(Request("evaluate", [1], {}, "main", version=0))
    assert (missing.kind, missing.error) == ("model", "TypeError: Echo has no method evaluate")
