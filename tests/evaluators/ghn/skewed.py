"""Images in memory whose classes are of unequal size, or mirror images of each other."""

from __future__ import annotations

import numpy as np
import torch

from archsearch.evaluators.datasets import ImageDataset, Splits


def arrows(train: tuple[int, int] = (40, 40), validation: tuple[int, int] = (12, 12)) -> Splits:
    """Return two classes, bright on the left and bright on the right, with these numbers of images."""
    rng = np.random.default_rng(0)
    parts = []
    for part, counts in (("train", train), ("validation", validation), ("test", (3, 3))):
        labels = np.repeat([0, 1], counts)
        images = rng.integers(0, 60, (len(labels), 1, 8, 8))
        images[labels == 0, :, :, :4] += 120
        images[labels == 1, :, :, 4:] += 120
        pixels = torch.from_numpy(images.astype(np.uint8))
        parts.append(ImageDataset(f"made/{part}", pixels, torch.from_numpy(labels), ("left", "right")))
    return Splits(*parts)
