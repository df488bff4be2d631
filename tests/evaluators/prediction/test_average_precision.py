"""Average precision against scikit-learn and a slow twin, also with equal scores."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from archsearch.evaluators.prediction.average_precision import average_precision


def twin(scores: list[int], truth: list[bool]) -> float:
    """Return the sum over the distinct scores of precision times the rise of recall."""
    total = before = 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = [has for score, has in zip(scores, truth, strict=True) if score >= threshold]
        recall = sum(chosen) / sum(truth)
        total, before = total + (recall - before) * sum(chosen) / len(chosen), recall
    return total


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_equal_scores_count_as_one_threshold(rows: list[tuple[int, bool]]) -> None:
    scores, truth = [score for score, _ in rows], [has for _, has in rows]
    [found] = average_precision(torch.tensor(scores)[:, None].float(), torch.tensor(truth)[:, None]).tolist()
    if any(truth):
        assert math.isclose(found, twin(scores, truth), rel_tol=1e-12)
    else:
        assert math.isnan(found)


def test_it_is_that_of_scikit_learn_for_each_label() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(300, 7)).round(1), rng.random((300, 7)) < np.linspace(0.02, 0.9, 7)
    found = average_precision(torch.from_numpy(scores), torch.from_numpy(truth))
    np.testing.assert_allclose(found, average_precision_score(truth, scores, average=None), rtol=1e-12)
