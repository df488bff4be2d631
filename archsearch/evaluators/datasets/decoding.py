"""Decoding of image files by Pillow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.errors import DatasetError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image


def decode(source: Path | bytes, place: str) -> Image:
    """Return an image with 8 bits a channel: mode `L` if it is grey, else `RGB`; transparency is dropped.

    Args:
        source: Path or content of a file in any format that Pillow reads.
        place: Name of the image in messages.

    Raises:
        DatasetError: It is no image, is corrupt, or has pixels that are not 8 or 16 bits.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = first_line(error)
        raise DatasetError(
            f"{place}: expected an image, such as PNG or JPEG; got {type(error).__name__}: {reason}. Replace or remove it."
        ) from error
    if image.mode.startswith("I;16"):
        return _eight_bits(image)
    if image.mode in ("I", "F"):
        raise DatasetError(f"{place}: expected 8 or 16 bits a channel; got Pillow's mode {image.mode!r}. Convert it to 8 bits.")
    return image.convert("L" if image.mode in ("L", "1", "LA", "La") else "RGB")


def _eight_bits(image: Image) -> Image:
    """Return a 16-bit grey image with 8 bits; Pillow's conversion would clip all above 255."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
