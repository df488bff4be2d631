"""Facts of exported networks and of their training data."""

from __future__ import annotations

from archsearch.evaluators import datasets
from archsearch.platform.export.facts import TrainingData


def test_the_training_data_are_described_as_users_need_them() -> None:
    splits = datasets.load("digits")
    data = TrainingData.of("digits", splits, with_validation=False)
    both = TrainingData.of("digits", splits, with_validation=True)
    assert (data.shape, data.classes, data.images) == ((1, 8, 8), tuple("0123456789"), len(splits.train))
    assert both.images == len(splits.train) + len(splits.validation)
    assert (both.mean, both.std, both.digest) == (data.mean, data.std, data.digest), "normalised by the training images"
    assert 0.0 < data.mean[0] < 1.0 and data.digest.count("-") == 2
