"""Transparent pixels of images, put on a background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, ...]


def colour_key(opened: Any, raw: str) -> Colour | None:
    """Return the colour that counts as transparent in an opened image without an alpha channel, on the scale of its pixels.

    PNG names it in as few bits as the pixels have, but Pillow spreads grey pixels of 1, 2 and 4 bits over 0 to 255.

    Args:
        opened: The image as it was opened.
        raw: Pillow's name of how its pixels are stored, such as `L;2`.
    """
    key = opened.info.get("transparency")
    if opened.mode not in ("1", "L", "RGB", "I;16", "I;16B", "I") or key is None or isinstance(key, bytes):
        return None
    if isinstance(key, tuple):
        return tuple(int(part) for part in key)
    bits = {"1": 1, "L;2": 2, "L;4": 4}.get(raw, 0)
    return (int(key) * 255 // (2**bits - 1) if bits else int(key),)


def alpha_of(image: Image, key: Colour) -> Image:
    """Return the alpha channel, mode `L`, of an image in which one colour is transparent."""
    import PIL.Image

    pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    shown = pixels != key[0] if pixels.ndim == 2 else (pixels != np.array(key)).any(axis=2)
    return PIL.Image.fromarray(np.where(shown, 255, 0).astype(np.uint8))


def separated(image: Image) -> tuple[Image, Image | None]:
    """Return the colours of an image without transparency, and its alpha channel, if it has one.

    Args:
        image: An image with 8 bits a channel, in any mode.
    """
    import PIL.Image

    if (image.mode in ("P", "PA") and (image.mode == "PA" or "transparency" in image.info)) or image.mode == "RGBa":
        image = image.convert("RGBA")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    if image.mode == "RGBA":
        *colours, alpha = image.split()
        return PIL.Image.merge("RGB", colours), alpha
    mode = "L" if image.mode == "1" else "RGB" if image.mode in ("P", "YCbCr", "HSV") else image.mode
    return image if image.mode == mode else image.convert(mode), None  # to convert to the same mode is to copy


def composited(colours: Image, alpha: Image | None, background: Colour) -> Image:
    """Return an image of mode `L` or `RGB` on a background: `alpha colour + (1 - alpha) background`.

    Args:
        colours: The image without transparency.
        alpha: Its alpha channel; None if there is none.
        background: Red, green and blue, 0 to 255. A grey image becomes RGB if this is not grey.
    """
    import PIL.Image

    if colours.mode not in ("L", "RGB"):
        colours = colours.convert("RGB")
    if alpha is None:
        return colours
    if colours.mode == "L" and len(set(background)) == 1:
        return PIL.Image.composite(colours, PIL.Image.new("L", colours.size, background[0]), alpha)
    return PIL.Image.composite(colours.convert("RGB"), PIL.Image.new("RGB", colours.size, background), alpha)
