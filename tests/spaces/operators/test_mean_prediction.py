"""The mean of predictions, with inputs that count several times."""

from __future__ import annotations

import torch

from archsearch.spaces.operators import MeanLabels, MeanNumbers, MeanPrediction

LEFT, RIGHT = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))


def test_the_mean_of_the_class_probabilities() -> None:
    answer = MeanPrediction().apply([LEFT, LEFT, RIGHT], training=False)
    torch.testing.assert_close(answer.exp(), (2 * LEFT.softmax(1) + RIGHT.softmax(1)) / 3)
    torch.testing.assert_close(answer.exp().sum(1), torch.ones(5))
    assert MeanPrediction().apply([LEFT, RIGHT]) is RIGHT, "in training, the last network learns alone"
    assert MeanPrediction().output_shape((3,), (3,)) == (3,)


def test_logits_that_are_sure_give_finite_logarithms() -> None:
    sure = torch.tensor([[200.0, -200.0]])
    assert torch.isfinite(MeanPrediction().apply([sure, sure], training=False)).all()


def test_means_of_labels_and_of_numbers() -> None:
    answer = MeanLabels().apply([LEFT, LEFT, RIGHT], training=False)
    torch.testing.assert_close(answer.sigmoid(), (2 * LEFT.sigmoid() + RIGHT.sigmoid()) / 3)
    assert torch.isfinite(MeanLabels().apply([torch.tensor([[200.0, -200.0]])] * 2, training=False)).all()
    torch.testing.assert_close(MeanNumbers().apply([LEFT, LEFT, RIGHT], training=False), (2 * LEFT + RIGHT) / 3)
    assert MeanLabels().apply([LEFT, RIGHT]) is MeanNumbers().apply([LEFT, RIGHT]) is RIGHT
