from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets import ImageDataset, stratified_split
from archsearch.evaluators.datasets.stored_split import stored_split

_FRACTIONS = {"train": 0.8, "test": 0.2}


@pytest.fixture
def dataset() -> ImageDataset:
    pixels = torch.arange(40 * 4, dtype=torch.uint8).view(40, 1, 2, 2)
    return ImageDataset("toy/train", pixels, torch.arange(40) % 4, tuple("abcd"))


def _stored(cache: Path) -> Path:
    (found,) = (cache / "splits").iterdir()
    return found


def test_a_split_is_computed_once_and_then_read(dataset: ImageDataset, cache: Path) -> None:
    split = stored_split(dataset, _FRACTIONS)
    expected = stratified_split(dataset.labels.numpy(), (0.8, 0.2))
    assert np.array_equal(split["train"], expected[0])
    assert np.array_equal(split["test"], expected[1])
    path = _stored(cache)
    assert dataset.digest in path.name
    content = json.loads(path.read_text())
    content["train"], content["test"] = content["test"], content["train"]
    path.write_text(json.dumps(content))
    swapped = stored_split(dataset, _FRACTIONS)
    assert np.array_equal(swapped["test"], expected[0])


def test_other_images_have_another_file(dataset: ImageDataset, cache: Path) -> None:
    stored_split(dataset, _FRACTIONS)
    stored_split(dataset.take(range(20), "less"), _FRACTIONS)
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
    stored_split(dataset, _FRACTIONS)
    path = _stored(cache)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=path.name) as caught:
        stored_split(dataset, _FRACTIONS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_stored_file_that_is_no_split_is_an_error_naming_it(dataset: ImageDataset, cache: Path, content: bytes) -> None:
    stored_split(dataset, _FRACTIONS)
    _stored(cache).write_bytes(content)
    with pytest.raises(DatasetError, match=dataset.digest):
        stored_split(dataset, _FRACTIONS)


def test_a_cache_that_cannot_be_written_is_told_once_and_changes_nothing(
    dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = stored_split(dataset, _FRACTIONS)
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "file" / "below"))
    with caplog.at_level(logging.WARNING):
        splits = [stored_split(dataset, _FRACTIONS) for _ in range(3)]
    assert len(caplog.records) == 1
    assert "ARCHSEARCH_CACHE" in caplog.text
    for split in splits:
        assert all(np.array_equal(split[part], expected[part]) for part in expected)
