from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.wide_pixels import check_range, eight_bits, white_of


def test_values_are_scaled_by_white() -> None:
    image = Image.fromarray(np.array([[0, 300, 1023]], dtype=np.int32))
    pixels, brightest = eight_bits(image, 1023.0, image, "it")
    assert np.asarray(pixels).tolist() == [[0, 75, 255]]
    assert brightest == 65535
    assert white_of(image) is None


def test_the_range_of_all_images_decides() -> None:
    assert check_range("scans", 65535, "a.png") == ""
    assert check_range("scans", 0, "a.png") == ""
    assert "white=16383" in check_range("scans", 9000, "a.png")
    with pytest.raises(DatasetError, match="reach only 255 of 65,535: 1 of 256 levels"):
        check_range("scans", 255, "a.png")
