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
from archsearch.evaluators.datasets.decoding import Decoder, pillow_version
from archsearch.evaluators.datasets.image_source import ImageSource
from archsearch.evaluators.datasets.unreadable import Unreadable

Size = tuple[int, int]
"""Height and width, in pixels."""
_Image = tuple[NDArray[np.uint8], Size]
_MUCH = 0.3
"""Fraction of an image cut off beyond which the user is told."""
_AT_ONCE = 1024
"""Images whose decoding is asked for at a time."""


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

    def identity(self) -> str:
        """Return a text of all that the pixels depend on beside the files."""
        return repr((self.size, self.decoder.settings, self.skip, pillow_version()))

    def read(self, source: ImageSource) -> tuple[Tensor, list[int], tuple[str, ...]]:
        """Return the images of a source.

        Returns:
            `[images, 3, height, width]` uint8; the positions of their files; and what the user should know about them.

        Raises:
            DatasetError: An image is corrupt and may not be left out, or none can be read.
        """

        def one(number: int) -> _Image | DatasetError:
            try:
                return self.decoded(source.open(number), source.place(number))
            except DatasetError as error:
                return error

        unreadable, kept, sizes = Unreadable(self.skip), list[int](), list[Size]()
        pixels = np.empty((len(source), 3, *self.size), dtype=np.uint8)  # filled at once: a list of images would be a second copy
        with ThreadPoolExecutor() as pool:
            for first in range(0, len(source), _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, len(source)))
                for number, found in zip(numbers, pool.map(one, numbers), strict=True):
                    if isinstance(found, DatasetError):
                        unreadable.add(source.place(number).removeprefix("image "), found)
                    else:
                        pixels[len(kept)] = found[0]
                        kept.append(number)
                        sizes.append(found[1])
        remarks = unreadable.check(len(source), len(kept))
        return torch.from_numpy(pixels[: len(kept)]), kept, (*remarks, *cut_remark(sizes, self.size))

    def decoded(self, source: Path | bytes, place: str) -> _Image:
        """Return an image as `[3, height, width]`, and the height and width that it had.

        Args:
            source: Path or content of the file.
            place: Name of the image in messages.

        Raises:
            DatasetError: It cannot be read.
        """
        from PIL import Image, ImageOps

        height, width = self.size
        decoded = self.decoder.decode(source, place)
        decoded = decoded if decoded.mode == "RGB" else decoded.convert("RGB")
        image = ImageOps.fit(decoded, (width, height), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)), (decoded.height, decoded.width)


def cut_remark(were: Sequence[Size], size: Size) -> tuple[str, ...]:
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
