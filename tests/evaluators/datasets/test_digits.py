"""The digits of scikit-learn in their stored split."""

from __future__ import annotations

import numpy as np
import torch

from archsearch.evaluators.datasets import load


def test_digits_are_the_real_images_in_their_stored_split() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    splits = load("digits")
    assert [len(part) for part in splits] == [901, 449, 447]
    assert splits.train.shape == (1, 8, 8)
    everything = torch.cat([part.images for part in splits]).flatten(1).numpy()
    expected = np.rint(bunch.images * (255 / 16)).astype(np.uint8).reshape(len(bunch.images), -1)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, expected))
    for part in splits:
        shares = torch.bincount(part.labels, minlength=10) / len(part)
        overall = np.bincount(bunch.target) / len(bunch.target)
        assert np.abs(shares.numpy() - overall).max() < 0.005
