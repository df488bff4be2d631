from __future__ import annotations

import torch

from archsearch.evaluators.datasets import ImageDataset, Splits
from archsearch.evaluators.datasets.copies import copies


def test_images_with_the_pixels_of_training_images_are_counted() -> None:
    pixels = torch.randint(0, 256, (12, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = ImageDataset("n", pixels, torch.arange(12) % 2, ("a", "b"))
    train, validation, test = (whole.take(rows, "n") for rows in (range(6), range(4, 9), range(9, 12)))
    assert copies(Splits(train, validation, test)) == {"validation": 2, "test": 0}
    other = ImageDataset("n", train.images.permute(0, 1, 3, 2), train.labels, train.classes)
    assert copies(Splits(train, validation, other))["test"] == 0, "their sides are swapped"
