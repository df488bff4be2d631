from __future__ import annotations

import pytest
import torch

from archsearch.evaluators.datasets import ImageDataset
from archsearch.evaluators.training.fitted_recipe import fitted_recipe, fitting_batch_size
from archsearch.evaluators.training.recipe import default_recipe


def _images(count: int, mirrored: bool = False) -> ImageDataset:
    pixels = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    if mirrored:
        pixels[labels == 0, :, :, :4] = 200
        pixels[labels == 1, :, :, 4:] = 200
    return ImageDataset("own/train", pixels, labels, ("left", "right"))


@pytest.mark.parametrize(
    ("most", "images", "size"),
    [(128, 50_000, 128), (128, 768, 128), (128, 767, 64), (128, 240, 32), (128, 30, 8), (128, 3, 8), (6, 10, 6), (100, 90, 12)],
)
def test_an_epoch_has_six_steps_where_it_can(most: int, images: int, size: int) -> None:
    assert fitting_batch_size(most, images) == size


def test_few_images_get_small_batches_unless_the_user_chose() -> None:
    recipe = default_recipe("imagefolder:photos")
    assert fitted_recipe(recipe, "imagefolder:photos", _images(240)).batch_size == 32
    assert fitted_recipe(recipe, "imagefolder:photos", _images(240), {"batch_size"}) == recipe
    assert fitted_recipe(recipe, "parquet:x", _images(800)) == recipe
    assert fitted_recipe(recipe.with_changes(accumulate=64), "own", _images(240)).batch_size == 64
    for name in ("digits", "cifar10", "cifar100"):
        assert fitted_recipe(default_recipe(name), name, _images(20)) == default_recipe(name), (
            "published figures keep their recipe"
        )


def test_mirror_images_are_not_mirrored_unless_the_user_wants_it() -> None:
    recipe, images = default_recipe("imagefolder:arrows"), _images(800, mirrored=True)
    assert recipe.flip
    assert fitted_recipe(recipe, "imagefolder:arrows", images) == recipe.with_changes(flip=False)
    assert fitted_recipe(recipe, "imagefolder:arrows", images, {"flip"}).flip
