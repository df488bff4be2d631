"""Weights of classes and the loss that has them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from archsearch.evaluators.prediction.class_weights import class_weights, cross_entropy


def test_class_weights_are_inverse_shares_with_mean_one() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [3] * 4)
    weights = class_weights(labels)
    assert weights.tolist() == pytest.approx([12 / 18, 12 / 6, 1.0, 12 / 12])
    assert float(weights[labels].mean()) == pytest.approx(1.0)


def test_parts_of_a_batch_add_up_to_its_weighted_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(10, 3, generator=generator), torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels)
    whole = cross_entropy(logits, labels, weights)
    assert float(whole) == pytest.approx(float((F.cross_entropy(logits, labels, reduction="none") * weights[labels]).mean()))
    parts = [cross_entropy(logits[rows], labels[rows], weights) * len(rows) / 10 for rows in torch.arange(10).tensor_split(3)]
    assert float(sum(parts)) == pytest.approx(float(whole))
    assert torch.equal(cross_entropy(logits, labels), F.cross_entropy(logits, labels))
