"""Shares of the training images and smaller images, for searches: which images, and what fingerprints say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from archsearch import spaces
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import TrainingEvaluator, datasets
from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.datasets.reduced import Reduction
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.platform.training.search_training import SearchTraining
from tests.evaluators.datasets.photographs import write_photographs

SPACE = spaces.get("nasbench201")
CPU = torch.device("cpu")


def test_a_share_has_the_classes_in_their_proportions_and_is_the_same_for_all() -> None:
    whole, splits = datasets.load("digits"), ImageTask("digits", share=0.1).splits
    counts = torch.bincount(whole.train.labels)
    assert (torch.bincount(splits.train.labels) - counts / 10).abs().max() <= 0.5
    assert [len(part) for part in splits] == [90, 449, 447], "validation and test images all stay"
    assert splits.train.digest == ImageTask(whole, share=0.1).splits.train.digest
    assert "90 of 901 training images are used (images=0.1)." in splits.train.remarks
    known = {bytes(image) for image in whole.train.images.numpy()}
    assert all(bytes(image) in known for image in splits.train.images.numpy())


def test_a_share_is_normalised_as_all_images_are() -> None:
    part, whole = (ImageTask("digits", share=share).part("test", CPU).images[:] for share in (0.2, 1.0))
    assert torch.equal(part, whole)


def test_a_share_is_a_part_of_the_fingerprint_and_memory_is_not() -> None:
    prints = [TrainingEvaluator(SPACE, "digits", images=share).fingerprint() for share in (1.0, 0.5, 0.25)]
    assert prints[0] == TrainingEvaluator(SPACE, "digits", memory_gb=0, data_workers=3).fingerprint() == "da96060b27bce45a"
    assert len({*prints, TrainingEvaluator(SPACE, "digits", size=4).fingerprint()}) == 4


@pytest.mark.parametrize("loading", [Loading(), Loading(0.0, 0)])
def test_photographs_are_read_at_the_size_of_the_search_alone(tmp_path: Path, loading: Loading) -> None:
    write_photographs(tmp_path)
    name = f"imagefolder:{tmp_path}"
    task = ImageTask(f"{name}?size=32", size=16, share=0.5, loading=loading)
    assert task.input_shape == (3, 16, 16)
    assert (task.dataset, task.original) == (f"{name}?size=16", f"{name}?size=32")
    expected = datasets.load(f"{name}?size=16").train
    assert len(task.splits.train) == len(expected) // 2
    assert torch.equal(
        task.part("train", CPU).images.pixels[:], Reduction(0.5).shared(datasets.load(task.dataset)).train.images[:]
    )


def test_the_final_training_has_the_size_of_the_dataset() -> None:
    evaluator = TrainingEvaluator(SPACE, "imagefolder:photos?size=224", size="24x96", recipe="short", flip=False, batch_size=8)
    found = SearchTraining.of(evaluator)
    assert found is not None and found.dataset == "imagefolder:photos?size=224"
    assert evaluator.images.dataset == "imagefolder:photos?size=24x96"


def test_images_in_memory_are_made_smaller() -> None:
    whole = datasets.load("digits")
    for given in ("digits", whole):
        task = ImageTask(given, size=4)
        assert task.input_shape == (1, 4, 4)
        small = F.interpolate(whole.test.images.float(), (4, 4), mode="bilinear", antialias=True)
        assert (task.splits.test.images[:].float() - small).abs().max() <= 1.0


@pytest.mark.parametrize("size", [16, "4x9"])
def test_images_in_memory_do_not_grow(size: int | str) -> None:
    with pytest.raises(DatasetError, match="size: expected images no larger than those of digits, 8 x 8 pixels; got"):
        ImageTask("digits", size=size).input_shape  # noqa: B018


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_fractions_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="images: expected a fraction of the training images"):
        ImageTask("digits", share=share)


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(DatasetError, match="size"):
        ImageTask("digits", size="large")
