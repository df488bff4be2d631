"""Images kept as pixels against the same ones normalised as a whole, to the last bit, in trainings and scores too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from archsearch import spaces
from archsearch.evaluators import Recipe
from archsearch.evaluators.datasets import Splits, load, resident
from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.datasets.normalised import NormalisedImages, read
from archsearch.evaluators.training.loop import train
from archsearch.evaluators.training.scoring import score

SPACE = spaces.get("nasbench201")
CELL = SPACE.parse("|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")


def like_cifar(images: int = 200) -> Splits:
    """Return noise with the shape and the range of CIFAR's images."""
    generator = torch.Generator().manual_seed(0)

    def part(name: str) -> ImageDataset:
        pixels = torch.randint(256, (images, 3, 32, 32), generator=generator).to(torch.uint8)
        return ImageDataset(f"noise/{name}", pixels, torch.arange(images) % 10, tuple("0123456789"))

    return Splits(*map(part, Splits._fields))


def floats(part: ImageDataset, mean: Tensor, std: Tensor) -> Tensor:
    """Return the images as they were held before: normalised as a whole."""
    images = part.images.to(torch.float32).div_(255.0)
    return images.sub_(mean[:, None, None]).div_(std[:, None, None])


def test_each_way_of_reading_gives_the_bits_of_a_whole() -> None:
    train_part = like_cifar(20).train
    figures = train_part.statistics()
    whole, images = floats(train_part, *figures), resident(train_part, *figures).images
    rows = torch.tensor([3, 3, 19, 0])
    assert torch.equal(images[rows], whole[rows])
    assert torch.equal(images[2:7], whole[2:7]) and torch.equal(images[5], whole[5]) and torch.equal(images[:], whole)
    assert torch.equal(torch.cat(list(images.split(6))), whole)
    assert (images.shape, images.dtype, images.device, images.is_cuda) == (whole.shape, whole.dtype, whole.device, False)
    for each, expected in zip(read(images, [rows, rows[:1]]), read(whole, [rows, rows[:1]]), strict=True):
        assert torch.equal(each, expected)


def test_half_precision_is_that_of_the_normalised_images() -> None:
    part = load("digits").train
    mean, std = part.statistics()
    images = NormalisedImages(part.images, mean, std, torch.bfloat16)
    assert torch.equal(images[:], floats(part, mean, std).to(torch.bfloat16))


def test_only_pixels_are_kept() -> None:
    part = like_cifar(20).train
    images = resident(part, *part.statistics()).images
    assert images.pixels.data_ptr() == part.images.data_ptr(), "the pixels of the dataset, not a copy"


@pytest.mark.parametrize("name", ["digits", "noise"])
def test_trainings_and_scores_have_the_bits_of_a_whole(name: str) -> None:
    splits = load("digits") if name == "digits" else like_cifar()
    mean, std = splits.train.statistics()
    recipe = Recipe(epochs=1, batch_size=64, crop=2, flip=True, cutout=3, resized_crop=0.5)
    found = []
    for kept in (False, True):
        learned, tested = (
            resident(part, mean, std).images if kept else floats(part, mean, std) for part in (splits.train, splits.test)
        )
        network = SPACE.build(CELL, 10, learned.shape[1], torch.Generator().manual_seed(1), channels=2, cells_per_stage=1)
        train(network, learned, splits.train.labels, recipe, [torch.Generator().manual_seed(2)])
        figures = score(network, tested, splits.test.labels)
        found.append([*network.state_dict().values(), figures.accuracy, figures.loss])
    assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))
