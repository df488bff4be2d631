"""Images with more than 8 bits a channel, brought to 8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from archsearch.errors import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

WIDE_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes of grey pixels with more than 8 bits."""
_SIXTEEN = 65535
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_TOO_DARK, _DIM = 4096, 32768


def white_of(opened: Any) -> float | None:
    """Return the largest value that the format of an opened image can hold; None if it has no such value, as for floats.

    Pillow scales the wide pixels of PNG, PPM and JPEG 2000 files to 16 bits, but leaves those of TIFF as they are stored.
    """
    if opened.mode == "F":
        return None
    if opened.format == "TIFF":
        bits = tuple(opened.tag_v2.get(_BITS, (1,)))
        return float(2 ** bits[0] - 1) if opened.mode.startswith("I;16") else None
    return float(_SIXTEEN) if opened.mode.startswith("I;16") or opened.format in ("PPM", "PNG") else None


def eight_bits(image: Image, white: float | None, opened: Any, place: str) -> tuple[Image, int]:
    """Return a grey image with 8 bits, `rint(255 value / white)`, and its largest value as one of 16 bits.

    Args:
        image: The image, upright, in one of `WIDE_MODES`.
        white: Value of full brightness; None if it is not known.
        opened: The image as it was opened, for the tags of its file.
        place: Name of the image in messages.

    Raises:
        DatasetError: The brightness of white is not known, or a value is not within 0 and white.
    """
    import PIL.Image

    if white is None:
        raise DatasetError(
            f"{place}: expected 8 or 16 bits a channel; got Pillow's mode {opened.mode!r}, which has no largest value. Name "
            "the value of white, as in imagefolder:PATH?white=1.0, or convert the images to 8 bits."
        )
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0.0 and high <= white):
        raise DatasetError(
            f"{place}: expected values from 0 to {white:g}; got {low:g} to {high:g}. Name the value of white, as in "
            "imagefolder:PATH?white=4095, or convert the images to 8 bits."
        )
    if opened.format == "TIFF" and opened.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = white - values
    scaled = np.rint(values * (255.0 / white)).astype(np.uint8)
    return PIL.Image.fromarray(scaled), round(float(values.max()) / white * _SIXTEEN)


def check_range(name: str, brightest: int, example: str) -> str:
    """Return a remark on images of 16 bits a channel that are dark, or an empty string if they are not.

    Args:
        name: Name of the dataset.
        brightest: Largest value in all of them.
        example: Name of one of them.

    Raises:
        DatasetError: All values are below 4,096: 8 bits would keep at most 16 levels.
    """
    if brightest >= _DIM or brightest == 0:
        return ""
    levels = brightest * 255 // _SIXTEEN + 1
    white = 2 ** brightest.bit_length() - 1
    text = (
        f"the 16-bit images of {name}, such as {example}, reach only {brightest:,} of {_SIXTEEN:,}: {levels} of 256 levels would "
        f"remain. Name the value of white, as in imagefolder:PATH?white={white}"
    )
    if brightest < _TOO_DARK:
        raise DatasetError(f"{text}, or convert the images to 8 bits.")
    return f"{text}, to use all levels."
