"""Folders of photographs made on the spot, for the tests of readers and of streaming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_photographs(folder: Path, classes: int = 2, images: int = 15, side: int = 40, seed: int = 0, kind: str = "png") -> None:
    """Write files of noise, `images` for each class, of which some are wider than high."""
    rng = np.random.default_rng(seed)
    for number in range(classes):
        within = folder / f"class{number}"
        within.mkdir(parents=True, exist_ok=True)
        for image in range(images):
            pixels = rng.integers(0, 256, (side, side + 8 * (image % 3), 3), dtype=np.uint8)
            Image.fromarray(pixels).save(within / f"{image:03}.{kind}")
