"""What functions return: scores with metrics, or a reason why there is no score."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from archsearch.evaluators.function.outcome import InvalidOutcome, outcome_of


@pytest.mark.parametrize(
    ("returned", "score", "figures"),
    [
        (0.5, 0.5, {}),
        (3, 3.0, {}),
        (np.float32(0.5), 0.5, {}),
        (torch.tensor([0.5]), 0.5, {}),
        (Decimal("0.5"), 0.5, {}),
        ({"accuracy": 0.5}, 0.5, {}),
        ({"score": 0.5, "size": 3}, 0.5, {"size": 3}),
        ({"accuracy": 0.5, "score": 7.0}, 0.5, {"score": 7.0}),
    ],
)
def test_scores(returned: Any, score: float, figures: dict[str, Any]) -> None:
    assert outcome_of(returned, "train", "accuracy") == (score, figures)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"train: expected the score, a number, or numbers by name such as {'accuracy': 0.9}; it returned None. A return"),
        ("0.5", "it returned '0.5', of the type str"),
        (float("nan"), "expected a finite number as the score; it returned nan"),
        (float("-inf"), "expected a finite number as the score"),
        (True, "it returned True"),
        ((0.5, 3), r"it returned \(0.5, 3\)"),
        (torch.ones(2), "it returned tensor"),
        ({}, r"expected a mapping with 'accuracy' or 'score'; it returned \[\]"),
        ({"loss": 1.0, 3: 4}, r"expected a mapping with 'accuracy' or 'score'; it returned \['3', 'loss'\]"),
        ({"accuracy": None}, "expected the score, a number"),
        ({"accuracy": float("nan")}, "expected a finite number"),
    ],
)
def test_what_is_no_score(returned: Any, message: str) -> None:
    with pytest.raises(InvalidOutcome, match=message):
        outcome_of(returned, "train", "accuracy")
