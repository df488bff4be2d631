from __future__ import annotations

import numpy as np
from PIL import Image

from archsearch.evaluators.datasets.transparency import alpha_of, colour_key, composited, separated


def test_alpha_weighs_colour_against_background() -> None:
    colours, alpha = separated(Image.new("RGBA", (1, 1), (100, 0, 200, 102)))
    assert alpha is not None
    assert composited(colours, alpha, (0, 50, 100)).getpixel((0, 0)) == (40, 30, 140)


def test_images_without_transparency_stay_as_they_are() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8))
    colours, alpha = separated(image)
    assert alpha is None
    assert np.array_equal(np.asarray(composited(colours, alpha, (1, 2, 3))), np.asarray(image))


def test_a_key_is_on_the_scale_of_the_pixels() -> None:
    image = Image.new("L", (1, 1), 170)
    image.info["transparency"] = 2
    assert colour_key(image, "L;2") == (170,)
    assert colour_key(image, "L") == (2,)
    assert np.asarray(alpha_of(image, (170,))).tolist() == [[0]]
