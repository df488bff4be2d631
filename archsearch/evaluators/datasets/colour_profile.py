"""Colour profiles (ICC) of images, brought to sRGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
"""Colour space that a profile must have to describe an image of a mode."""


def in_srgb(image: Image, profile: bytes | None) -> Image:
    """Return an image in the colours of sRGB, by littleCMS with perceptual rendering.

    Images that are sRGB already stay as they are, as do those whose profile is damaged or is for another kind of pixels: viewers
    then show them as sRGB too.

    Args:
        image: An image with 8 bits a channel, without transparency.
        profile: Content of its ICC profile; None if it has none.
    """
    if not profile or image.mode not in _SPACES:
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        if source.profile.xcolor_space.strip() != _SPACES[image.mode]:
            return image
        made = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    return image if made is None else made.convert("L") if image.mode == "L" else made
