"""Images made smaller by averaging squares of pixels, so that networks are run on them in less time."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from archsearch.errors import DatasetError, check_whole_number
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits

_CHUNK = 4096
"""Images converted at a time, to bound the memory."""


def averaged(splits: Splits, size: int) -> Splits:
    """Return the parts with images of `size x size` pixels, each the mean of a square of pixels, or of a rectangle.

    Where a side is no multiple of `size`, neighbouring squares overlap by a pixel (adaptive average pooling). Labels, classes and
    names stay.

    Raises:
        ConfigurationError: `size` is not a positive whole number.
        DatasetError: A side of the images is not longer than `size`.

    Example:
        >>> from archsearch.evaluators import datasets
        >>> averaged(datasets.load("digits"), 4).train.shape
        (1, 4, 4)
    """
    check_whole_number("image_size", size)
    _, height, width = splits.train.shape
    if min(height, width) <= size:
        raise DatasetError(
            f"image_size: expected a side shorter than that of the images of {splits.train.name.partition('/')[0]}, which have "
            f"{height} x {width} pixels; got {size}. Averaging makes images smaller: leave it out (rank_size, as a searcher's "
            "option)."
        )
    return Splits(*(_averaged(part, size) for part in splits))


def _averaged(part: ImageDataset, size: int) -> ImageDataset:
    chunks = [F.adaptive_avg_pool2d(chunk.float(), size).round().to(torch.uint8) for chunk in part.images.split(_CHUNK)]
    return replace(part, images=torch.cat(chunks))
