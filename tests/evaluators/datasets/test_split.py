"""Stratified splits, splits stored in the cache folder, and the parts that a source lacks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import ImageDataset, stratified_split
from archsearch.evaluators.datasets.split import partition, stored_split

# Stored splits


_PARTS = {"train": 0.8, "test": 0.2}


@pytest.fixture
def dataset() -> ImageDataset:
    pixels = torch.arange(40 * 4, dtype=torch.uint8).view(40, 1, 2, 2)
    return ImageDataset("toy/train", pixels, torch.arange(40) % 4, tuple("abcd"))


def _stored(cache: Path) -> Path:
    (found,) = (cache / "splits").iterdir()
    return found


def test_a_split_is_computed_once_and_then_read(dataset: ImageDataset, cache: Path) -> None:
    split = stored_split(dataset, _PARTS)
    expected = stratified_split(dataset.labels.numpy(), (0.8, 0.2))
    assert np.array_equal(split["train"], expected[0])
    assert np.array_equal(split["test"], expected[1])
    path = _stored(cache)
    assert dataset.digest in path.name
    content = json.loads(path.read_text())
    content["train"], content["test"] = content["test"], content["train"]
    path.write_text(json.dumps(content))
    swapped = stored_split(dataset, _PARTS)
    assert np.array_equal(swapped["test"], expected[0])


def test_other_images_have_another_file(dataset: ImageDataset, cache: Path) -> None:
    stored_split(dataset, _PARTS)
    stored_split(dataset.take(range(20), "less"), _PARTS)
    stored_split(dataset, {"train": 0.9, "validation": 0.1})
    assert len(list((cache / "splits").iterdir())) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content["train"].pop(),
        lambda content: content["train"].append(40),
        lambda content: content["train"].append(content["test"][0]),
        lambda content: content.update(train=list(range(40)), test=[]),
        lambda content: content.pop("test"),
        lambda content: content.update(train=[float(row) for row in content["train"]]),
        lambda content: content.update(train="all"),
        lambda content: content.update(digest="0" * 16),
    ],
)
def test_a_stored_split_that_does_not_fit_is_an_error_naming_the_file(dataset: ImageDataset, cache: Path, damage) -> None:
    stored_split(dataset, _PARTS)
    path = _stored(cache)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=path.name) as caught:
        stored_split(dataset, _PARTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_stored_file_that_is_no_split_is_an_error_naming_it(dataset: ImageDataset, cache: Path, content: bytes) -> None:
    stored_split(dataset, _PARTS)
    _stored(cache).write_bytes(content)
    with pytest.raises(DatasetError, match=dataset.digest):
        stored_split(dataset, _PARTS)


def test_a_cache_that_cannot_be_written_is_told_once_and_changes_nothing(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = stored_split(dataset, _PARTS)
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "file" / "below"))
    with caplog.at_level(logging.WARNING):
        splits = [stored_split(dataset, _PARTS) for _ in range(3)]
    assert len(caplog.records) == 1
    assert "ARCHSEARCH_CACHE" in caplog.text
    for split in splits:
        assert all(np.array_equal(split[part], expected[part]) for part in expected)


# Parts that a source lacks


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


def test_images_without_differences_are_refused() -> None:
    images = torch.zeros(6, 1, 2, 2, dtype=torch.uint8)
    numbers = torch.tensor([[1.0, 3.0]] * 6, dtype=torch.float64)
    numbers[0, 0] = 2.0
    with pytest.raises(DatasetError, match="expected numbers that differ; all 6 of 'y' are 3"):
        partition("n", ImageDataset("n/train", images, numbers, ("x", "y")))
    with pytest.raises(DatasetError, match="all 6 images have the same labels, 1 of 2"):
        partition("n", ImageDataset("n/train", images, torch.tensor([[True, False]] * 6), ("x", "y")))
    with pytest.raises(DatasetError, match="expected at least 3 images, one for each part; got 2"):
        partition("n", ImageDataset("n/train", images, numbers, ("x", "y")).take([0, 1], "n/train"))
