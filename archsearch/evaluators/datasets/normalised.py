"""Images that are kept as pixels of 8 bits, and normalised batch by batch where they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from archsearch.evaluators.datasets.encoded import EncodedImages, Pixels


class NormalisedImages:
    """Images `(pixels / 255 - mean) / std`, computed for the rows that are read; in memory are the pixels alone.

    It is read as a tensor would be: `images[rows]`, `images.split(1000)`, `len(images)`, `images.shape`. Each value is that of a
    tensor that was normalised as a whole, to the last bit, at a quarter of the memory.

    Args:
        pixels: `[images, channels, height, width]` uint8, on the device of the result; or images that are decoded when they are
            read.
        mean: `[channels]`, a fraction of full brightness.
        std: `[channels]`, above 0.
        dtype: Floating type of the result; the arithmetic is done in float32.
        device: Device of the result; None is that of the pixels.

    Example:
        >>> import torch
        >>> from archsearch.evaluators.datasets.normalised import NormalisedImages
        >>> pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> NormalisedImages(pixels, torch.tensor([0.5]), torch.tensor([0.5]))[torch.tensor([1, 0])].flatten().tolist()
        [1.0, -1.0]
    """

    def __init__(
        self,
        pixels: Pixels,
        mean: Tensor,
        std: Tensor,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        self.pixels, self.dtype = pixels, dtype
        self.device = torch.device(device) if device is not None and isinstance(pixels, EncodedImages) else pixels.device
        self._mean, self._std = (figures.to(self.device, torch.float32)[:, None, None] for figures in (mean, std))

    @property
    def shape(self) -> torch.Size:
        """Images, channels, height and width."""
        return self.pixels.shape

    @property
    def is_cuda(self) -> bool:
        """Whether they are read onto a GPU."""
        return self.device.type == "cuda"

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Tensor | slice | int) -> Tensor:
        return self._normalised(self.pixels[rows])

    def split(self, size: int) -> Iterator[Tensor]:
        """Yield all images in their order, `size` at a time."""
        if isinstance(self.pixels, EncodedImages):
            return self.read(torch.arange(len(self)).split(size))
        return map(self._normalised, self.pixels.split(size))

    def read(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the images of each batch of rows, in the order of the batches."""
        if isinstance(self.pixels, EncodedImages):
            return map(self._normalised, self.pixels.read(batches))
        return (self[rows] for rows in batches)

    def _normalised(self, pixels: Tensor) -> Tensor:
        images = pixels.to(self.device, non_blocking=True).to(torch.float32).div_(255.0).sub_(self._mean).div_(self._std)
        return images.to(self.dtype)


Images: TypeAlias = Tensor | NormalisedImages
"""Normalised images `[images, channels, height, width]`: in memory as such, or as their pixels."""


def read(images: Images, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the normalised images of each batch of rows, in the order of the batches.

    Args:
        images: All images.
        batches: Rows of each batch, `[batch]` int64.
    """
    return images.read(batches) if isinstance(images, NormalisedImages) else (images[rows] for rows in batches)
