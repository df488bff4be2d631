from __future__ import annotations

import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import ImageDataset


def _dataset(images: int = 6, channels: int = 3, side: int = 5) -> ImageDataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, channels, side, side), generator=generator).to(torch.uint8)
    return ImageDataset("toy", pixels, torch.arange(images) % 2, ("cat", "dog"))


def test_statistics_equal_those_of_the_float_images() -> None:
    dataset = _dataset(images=5000)
    pixels = dataset.images.double().div(255.0).transpose(0, 1).flatten(1)
    mean, std = dataset.statistics()
    torch.testing.assert_close(mean, pixels.mean(1).float())
    torch.testing.assert_close(std, pixels.std(1).float())


def test_constant_images_keep_a_deviation_that_can_divide() -> None:
    dataset = ImageDataset("flat", torch.full((4, 1, 2, 2), 255, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]), ("a", "b"))
    mean, std = dataset.statistics()
    assert mean.tolist() == [1.0]
    assert std.item() == pytest.approx(1e-3)


def test_statistics_of_no_images_is_an_error() -> None:
    with pytest.raises(DatasetError, match="expected images"):
        _dataset().take([], "none").statistics()


def test_digest_changes_with_any_pixel_label_or_class_name() -> None:
    one = _dataset()
    pixels, labels = one.images.clone(), one.labels.clone()
    pixels[3, 1, 2, 2] ^= 1
    labels[0] = 1
    others = [
        ImageDataset("toy", pixels, one.labels, one.classes),
        ImageDataset("toy", one.images, labels, one.classes),
        ImageDataset("toy", one.images, one.labels, ("cat", "cow")),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 4
    assert ImageDataset("other name", one.images.clone(), one.labels.clone(), one.classes).digest == one.digest


def test_take_keeps_images_with_their_labels() -> None:
    dataset = _dataset()
    taken = dataset.take([4, 1], "toy/part")
    assert taken.name == "toy/part"
    assert torch.equal(taken.images, dataset.images[[4, 1]])
    assert taken.labels.tolist() == [0, 1]
    assert taken.shape == (3, 5, 5)


def test_shapes_types_and_labels_that_do_not_fit_are_refused() -> None:
    one = _dataset()
    with pytest.raises(DatasetError, match="uint8"):
        ImageDataset("toy", one.images.float(), one.labels, one.classes)
    with pytest.raises(DatasetError, match="expected 6, one an image"):
        ImageDataset("toy", one.images, one.labels[:5], one.classes)
    with pytest.raises(DatasetError, match="from 0 to 0"):
        ImageDataset("toy", one.images, one.labels, ("cat",))


def test_labels_and_numbers_need_a_row_for_each_image() -> None:
    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    numbers = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    same = ImageDataset("n", images, numbers, ("x", "y"))
    assert (same.task, same.num_classes, len(same.take([1], "m"))) == ("regression", 2, 1)
    assert ImageDataset("n", images, numbers > 2, ("x", "y")).task == "multilabel"
    digests = {ImageDataset("n", images, labels, ("x", "y")).digest for labels in (numbers, numbers > 2, torch.tensor([0, 1]))}
    assert len(digests) == 3
    with pytest.raises(DatasetError, match=r"expected the shape \[2, 1\], one row an image .* for each of x; got \[2, 2\]"):
        ImageDataset("n", images, numbers, ("x",))
    with pytest.raises(DatasetError, match="expected finite numbers"):
        ImageDataset("n", images, numbers * torch.nan, ("x", "y"))
