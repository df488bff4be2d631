from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.decoding import decode


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "L"), ("1", "L"), ("LA", "L"), ("RGB", "RGB"), ("RGBA", "RGB"), ("P", "RGB")]
)
def test_grey_stays_grey_and_all_else_becomes_rgb(mode: str, expected: str) -> None:
    assert decode(_png(Image.new(mode, (4, 3))), "it").mode == expected


def test_pixels_survive() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(decode(_png(Image.fromarray(pixels)), "it")), pixels)


def test_sixteen_bits_become_eight() -> None:
    pixels = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    assert np.asarray(decode(_png(Image.fromarray(pixels)), "it")).tolist() == [[0, 1, 128, 255]]


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.new("RGB", (8, 4)).save(tmp_path / "photo.jpg", exif=exif)
    assert decode(tmp_path / "photo.jpg", "it").size == (4, 8)


def test_floating_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(tmp_path / "map.tiff")
    with pytest.raises(DatasetError, match=r"the map: .*'F'"):
        decode(tmp_path / "map.tiff", "the map")


def test_damage_of_any_kind_is_a_one_line_error_that_names_the_place() -> None:
    rng = np.random.default_rng(0)
    whole = _png(Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)))
    for length in range(0, len(whole) - 30, 7):
        with pytest.raises(DatasetError, match=r"^row 3: expected an image") as caught:
            decode(whole[:length], "row 3")
        assert "\n" not in str(caught.value)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            decode(bytes(damaged), "row 3")
        except DatasetError:
            refused += 1
    assert refused > 200
