from __future__ import annotations

from collections.abc import Callable

import torch

from archsearch.evaluators.predictors.head import Head

Generators = Callable[..., list[torch.Generator]]


def test_each_member_is_a_separate_perceptron(generators: Generators) -> None:
    head, values = Head(4, (6,), 0.5, generators(0, 1)).eval(), torch.randn(2, 7, 4)
    scores = head(values)
    assert scores.shape == (2, 7)
    for member in range(2):
        first, last = ((layer.weight[member], layer.bias[member]) for layer in head.layers)
        expected = (values[member] @ first[0] + first[1]).relu() @ last[0] + last[1]
        assert torch.allclose(scores[member], expected.squeeze(1), atol=1e-6)


def test_dropout_is_for_training_alone(generators: Generators) -> None:
    head, values = Head(4, (50,), 0.5, generators(0)), torch.ones(1, 1, 4)
    assert not torch.equal(head(values), head(values))
    head.eval()
    assert torch.equal(head(values), head(values))
