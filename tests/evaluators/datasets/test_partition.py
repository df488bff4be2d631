from __future__ import annotations

import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import ImageDataset
from archsearch.evaluators.datasets.partition import partition


def _images(counts: tuple[int, ...], start: int = 0) -> ImageDataset:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    pixels = (torch.arange(len(labels)) + start).to(torch.uint8).view(-1, 1, 1, 1)
    return ImageDataset("toy/train", pixels, labels, tuple("abcd"[: len(counts)]))


def _pixels(dataset: ImageDataset) -> set[int]:
    return set(dataset.images.flatten().tolist())


def test_parts_of_the_source_stay_as_they_are() -> None:
    train, validation, test = _images((3, 3)), _images((2, 2), 100), _images((1, 1), 200)
    assert partition("toy", train, validation, test) == (train, validation, test)


def test_a_validation_part_is_a_tenth_of_the_training_part() -> None:
    train, test = _images((50, 50)), _images((1, 1), 200)
    splits = partition("toy", train, test=test)
    assert splits.test is test
    assert torch.bincount(splits.train.labels).tolist() == [45, 45]
    assert torch.bincount(splits.validation.labels).tolist() == [5, 5]
    assert _pixels(splits.train) | _pixels(splits.validation) == _pixels(train)
    assert not _pixels(splits.train) & _pixels(splits.validation)
    assert [part.name for part in splits[:2]] == ["toy/train", "toy/validation"]


def test_validation_and_test_are_a_tenth_each_where_both_lack() -> None:
    splits = partition("toy", _images((50, 50)))
    assert [len(part) for part in splits] == [80, 10, 10]
    assert len(set.union(*map(_pixels, splits))) == 100


def test_three_images_of_a_class_are_enough_for_all_parts() -> None:
    for part in partition("toy", _images((3, 3, 3))):
        assert part.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("counts", "message"),
    [((9,), "at least 2 classes"), ((9, 2), "class 'b' has 2"), ((9, 0), "class 'b' has 0"), ((0, 0), "got none")],
)
def test_too_few_images_or_classes_are_an_error(counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        partition("toy", _images(counts))


def test_an_empty_test_part_is_an_error() -> None:
    train = _images((9, 9))
    with pytest.raises(DatasetError, match="test images of toy"):
        partition("toy", train, test=train.take([], "toy/test"))
