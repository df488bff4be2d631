"""Files of images, of any size, as arrays of one size."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.decoding import Decoder
from archsearch.evaluators.datasets.unreadable import Unreadable

Size = tuple[int, int]
"""Height and width, in pixels."""
_Image = tuple[NDArray[np.uint8], Size]
_MUCH = 0.3
"""Fraction of an image cut off beyond which the user is told."""


@dataclass(frozen=True)
class ImageReader:
    """Reads files and brings the images to RGB and one size.

    The middle of an image, in the ratio of the size, is cut out and resized, bilinear with antialiasing.

    Args:
        size: Height and width of the images.
        decoder: What decodes the files.
        skip: Whether files that cannot be read are left out.
    """

    size: Size
    decoder: Decoder
    skip: bool = False

    def read(self, files: Sequence[Path]) -> tuple[Tensor, list[int], tuple[str, ...]]:
        """Return the images of files.

        Returns:
            `[images, 3, height, width]` uint8; the positions of their files; and what the user should know about them.

        Raises:
            DatasetError: An image is corrupt and may not be left out, or none can be read.
        """
        with ThreadPoolExecutor() as pool:
            read = list(pool.map(self._one, files))
        unreadable, kept, images = Unreadable(self.skip), list[int](), list[_Image]()
        for place, (file, found) in enumerate(zip(files, read, strict=True)):
            if isinstance(found, DatasetError):
                unreadable.add(str(file), found)
            else:
                kept.append(place)
                images.append(found)
        remarks = unreadable.check(len(files), len(kept))
        pixels = torch.from_numpy(np.stack([array for array, _ in images]))
        return pixels, kept, (*remarks, *_cut_remark([was for _, was in images], self.size))

    def _one(self, file: Path) -> _Image | DatasetError:
        """Return an image as `[3, height, width]`, and the height and width that it had; or why it cannot be read."""
        try:
            return self._decoded(file)
        except DatasetError as error:
            return error

    def _decoded(self, file: Path) -> _Image:
        from PIL import Image, ImageOps

        height, width = self.size
        decoded = self.decoder.decode(file, f"image {file}").convert("RGB")
        image = ImageOps.fit(decoded, (width, height), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), (decoded.height, decoded.width)


def _cut_remark(were: list[Size], size: Size) -> tuple[str, ...]:
    """Return a remark if much of the median image is cut off."""
    shapes = np.array(were, dtype=np.float64)
    ratio = shapes[:, 1] / shapes[:, 0] / (size[1] / size[0])
    lost = float(np.median(1.0 - np.minimum(ratio, 1.0 / ratio)))
    if lost < _MUCH:
        return ()
    height, width = (int(side) for side in np.median(shapes, axis=0))
    scale = (size[0] * size[1] / (height * width)) ** 0.5
    near = f"{max(1, round(height * scale))}x{max(1, round(width * scale))}"
    return (
        f"Images are cut to the ratio {size[0]}x{size[1]} (height x width): {100 * lost:.0f} % of the median image, {height} x "
        f"{width} pixels, is lost. Another size, such as size={near}, keeps more.",
    )
