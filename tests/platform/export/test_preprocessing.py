"""What stands at the end of `model.py` on images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archsearch.platform.export.facts import TrainingData
from archsearch.platform.export.preprocessing import preprocessing_source

CLASSES = ("cat", 'it\'s a "dog"', "back\\slash", *(f"a class of the number {number}" for number in range(60)))


def names_of(data: TrainingData) -> dict[str, Any]:
    names: dict[str, Any] = {"torch": torch, "Tensor": Tensor}
    exec(preprocessing_source(data), names)
    return names


@pytest.mark.parametrize("channels", [1, 3])
def test_the_source_prepares_images_as_the_training_did(channels: int) -> None:
    mean, std = (0.1, 0.2, 0.3)[:channels], (0.5, 0.25, 0.125)[:channels]
    data = TrainingData("photos", (channels, 4, 6), CLASSES, mean, std, "0", 10)
    assert max(map(len, preprocessing_source(data).splitlines())) <= 125
    names = names_of(data)
    assert names["CLASSES"] == CLASSES and names["IMAGE_SHAPE"] == (channels, 4, 6)
    pixels = torch.randint(0, 256, (2, channels, 4, 6), dtype=torch.uint8)
    expected = (pixels / 255 - torch.tensor(mean).reshape(1, -1, 1, 1)) / torch.tensor(std).reshape(1, -1, 1, 1)
    torch.testing.assert_close(names["prepare"](pixels), expected)
    for wrong in (pixels.float(), pixels[..., :3], pixels[0]):
        with pytest.raises(ValueError, match="pixels: expected uint8"):
            names["prepare"](wrong)
