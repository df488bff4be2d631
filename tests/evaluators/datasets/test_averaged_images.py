"""Images averaged to fewer pixels, as ranking by a hypernetwork takes them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import datasets
from archsearch.evaluators.datasets.averaged_images import averaged
from archsearch.evaluators.datasets.image_task import ImageTask

DIGITS = datasets.load("digits")


def test_each_pixel_is_the_mean_of_a_square() -> None:
    small = averaged(DIGITS, 4)
    part, whole = small.validation, DIGITS.validation
    assert part.shape == (1, 4, 4) and part.images.dtype == torch.uint8
    assert float(part.images[7, 0, 1, 2]) == pytest.approx(float(whole.images[7, 0, 2:4, 4:6].float().mean()), abs=0.5)
    assert part.labels is whole.labels and part.classes == whole.classes and part.name == whole.name
    assert small.train.digest != DIGITS.train.digest, "scores of averaged images are others"


def test_an_image_need_not_be_square_nor_a_multiple() -> None:
    part = replace(DIGITS.test, images=DIGITS.test.images[:, :, :7])
    assert averaged(datasets.Splits(part, part, part), 3).train.shape == (1, 3, 3)


@pytest.mark.parametrize("size", [8, 16])
def test_images_do_not_grow(size: int) -> None:
    message = f"image_size: expected a side shorter than that of the images of digits, which have 8 x 8 pixels; got {size}"
    with pytest.raises(DatasetError, match=message):
        averaged(DIGITS, size)


def test_a_task_may_have_averaged_images() -> None:
    named, given = ImageTask("digits", image_size=4), ImageTask(DIGITS, image_size=4)
    assert named.input_shape == given.input_shape == (1, 4, 4)
    assert named.digest == given.digest != ImageTask("digits").digest
    with pytest.raises(ConfigurationError, match="image_size"):
        ImageTask("digits", image_size=0)
