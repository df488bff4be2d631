from __future__ import annotations

import numpy as np
import pytest
import torch

from archsearch.evaluators import datasets
from archsearch.evaluators.datasets import ImageDataset


def _dataset(images: np.ndarray, labels: list[int], classes: int) -> ImageDataset:
    pixels = torch.from_numpy(np.clip(images, 0, 255).astype(np.uint8))
    return ImageDataset("made/train", pixels, torch.tensor(labels), tuple("abcdefgh"[:classes]))


def _arrows(count: int, noise: float, shift: int, side: int = 32) -> ImageDataset:
    """A triangle that points left or right, at a place that differs by up to `shift`, and a third class, a bar."""
    rng = np.random.default_rng(0)
    images, labels = [], []
    for number in range(3 * count):
        label = number % 3
        image = rng.normal(100, noise, (1, side, side))
        for column in range(12):
            height = column // 2 + 1 if label < 2 else 3
            across = 10 + (column if label != 1 else 11 - column) + rng.integers(-shift, shift + 1) * (column == 0)
            image[0, 16 - height : 16 + height, across] += 100
        images.append(np.roll(image, rng.integers(-shift, shift + 1), axis=1))
        labels.append(label)
    return _dataset(np.stack(images), labels, 3)


@pytest.mark.parametrize(("count", "noise", "shift"), [(10, 5.0, 0), (30, 40.0, 2), (100, 80.0, 3), (5, 1.0, 1), (300, 100.0, 0)])
def test_arrows_to_both_sides_are_found(count: int, noise: float, shift: int) -> None:
    assert _arrows(count, noise, shift).mirrored == ("a", "b")


def test_images_of_any_shape() -> None:
    left = np.zeros((6, 3, 20, 70))
    left[..., :10] = 200
    images = np.concatenate([left, left[..., ::-1]])
    assert _dataset(images, [0] * 6 + [1] * 6, 2).mirrored == ("a", "b")
    tiny = np.zeros((4, 1, 1, 2))
    tiny[:2, ..., 0] = tiny[2:, ..., 1] = 9
    assert _dataset(tiny, [0, 0, 1, 1], 2).mirrored == ("a", "b")


@pytest.mark.parametrize("seed", range(20))
def test_classes_that_differ_otherwise_or_not_at_all_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.normal(128, 40, (60, 3, 16, 16)) + rng.normal(0, 30, (60, 1, 1, 1)) * np.linspace(-1, 1, 16)
    labels = (np.arange(60) % 3).tolist()
    assert _dataset(noise, labels, 3).mirrored is None
    bright = noise + 40 * (np.arange(60) % 3)[:, None, None, None]
    assert _dataset(bright, labels, 3).mirrored is None


def test_digits_are_no_mirror_images_and_single_images_decide_nothing() -> None:
    assert datasets.load("digits").train.mirrored is None
    pair = np.zeros((2, 1, 4, 4))
    pair[0, ..., 0] = pair[1, ..., 3] = 200
    assert _dataset(pair, [0, 1], 2).mirrored is None
