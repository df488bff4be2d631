from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from sklearn.metrics import average_precision_score, mean_absolute_error

from archsearch.evaluators import Recipe
from archsearch.evaluators.datasets import ImageDataset, Splits
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.description import (
    augmentation,
    cautions,
    copied,
    equal_images,
    facts,
    guessed,
    guessing_accuracy,
    largest_class,
    standard_error,
    unmirrored,
)


def _part(name: str, counts: Sequence[int]) -> ImageDataset:
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    images = torch.randint(0, 256, (len(labels), 3, 6, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageDataset(f"photos/{name}", images, labels, ("cat", "dog", "owl", "pig")[: len(counts)])


def _splits(train: Sequence[int], validation: Sequence[int], test: Sequence[int]) -> Splits:
    return Splits(_part("train", train), _part("validation", validation), _part("test", test))


PHOTOS = _splits([60] * 4, [8] * 4, [7] * 4)


def test_parts_steps_and_augmentation_are_stated() -> None:
    recipe = Recipe(epochs=12, batch_size=32, crop=4, flip=True)
    parts, training, changes = facts(PHOTOS, recipe, "photos", 128)
    assert parts == (
        "Images of photos: 240 for training, 32 for validation, 28 for testing; 4 classes; 3 x 6 x 9 (channels x height x width)."
    )
    assert training == "Training: 12 epochs of 7 steps with 32 images each (128 would be too many for so few)."
    assert "shifted by up to 4 pixels, mirrored left to right at random; --train crop=0 --train flip=false" in changes
    assert facts(PHOTOS, replace(recipe, batch_size=500), "photos")[1] == "Training: 12 epochs of 1 steps with 240 images each."
    remarked = PHOTOS._replace(train=replace(PHOTOS.train, remarks=("Two files were passed over.",)))
    assert facts(remarked, recipe, "photos")[-1] == "Two files were passed over."


def test_each_augmentation_is_named() -> None:
    assert augmentation(Recipe()) == "Training images are not changed at random (no crops, no mirroring)."
    text = augmentation(Recipe(resized_crop=0.08, cutout=16))
    assert "cropped to 8 to 100 % of their area, covered by a square of 16 pixels" in text
    assert "--train resized_crop=0 --train cutout=0" in text


def test_few_validation_images_are_a_caution_with_their_error() -> None:
    [text] = cautions(PHOTOS, Recipe(batch_size=32), 32.0, False, 1)
    assert text.startswith("32 validation images: one is 3.1 points, and a score near 50 % has a standard error of 8.8 points")
    assert "repeats=3" in text
    assert "repeats" not in cautions(PHOTOS, Recipe(batch_size=32), 32.0, False, None)[0]
    assert "repeats" not in cautions(PHOTOS, Recipe(batch_size=32), 32.0, False, 3)[0]
    assert cautions(PHOTOS, Recipe(batch_size=32), 5000.0, False, 1) == ()


def test_skewed_classes_are_a_caution_unless_the_score_is_balanced() -> None:
    skewed = _splits([240, 4], [30, 1], [30, 1])
    [text] = cautions(skewed, Recipe(batch_size=32), 5000.0, False, 1)
    assert "4 to 240 training images: always answering cat scores 96.77 %" in text
    assert "balanced_accuracy" in text
    assert "class_weights=true" in text
    assert cautions(skewed, Recipe(batch_size=32), 5000.0, True, 1) == ()
    [text] = cautions(skewed, Recipe(batch_size=32), equal_images(skewed.validation), True, None)
    assert text.startswith(
        "31 validation images, 1 of the class dog: one is 50.0 points, and a score near 50 % has a standard error"
    )
    assert cautions(_splits([60, 30, 40], [6, 3, 4], [6, 3, 4]), Recipe(batch_size=8), 5000.0, False, 1) == ()


def test_few_steps_are_a_caution() -> None:
    [text] = cautions(PHOTOS, Recipe(batch_size=128), 5000.0, False, 1)
    assert text == "An epoch has 1 step of 128 images: give a smaller batch_size."


@pytest.mark.parametrize(
    ("counts", "score"),
    [([5, 5], 0.5), ([30, 1], 30 / 31), ([46, 44, 45, 45], 0.25), ([10, 20, 30, 40], 0.4), ([0, 7], 1.0), ([1, 1, 1], 1 / 3)],
)
def test_guessing_scores_the_share_of_the_largest_class(counts: list[int], score: float) -> None:
    assert guessing_accuracy(_part("validation", counts)) == pytest.approx(score)
    assert largest_class(_part("validation", counts))[0] == pytest.approx(max(counts) / sum(counts))


def test_the_standard_error_is_that_of_independent_images() -> None:
    assert standard_error(0.66, 32) == pytest.approx(0.0837, abs=1e-4)
    assert standard_error(1.0, 32) == 0.0
    assert equal_images(_part("validation", [8] * 4)) == pytest.approx(32)
    # Two classes of 30 and 1 images, each right with p: the variance of the mean of both accuracies is p (1 - p) (1/30 + 1) / 4.
    images = equal_images(_part("validation", [30, 1]))
    assert standard_error(0.5, images) == pytest.approx(math.sqrt(0.25 * (1 / 30 + 1) / 4))


def test_labels_and_numbers_are_described_and_cautioned(pairs: Any) -> None:
    labels = pairs.pair_splits("multilabel", 100, 40)
    rare = labels.validation.labels.clone()
    rare[:, :2] = False
    lacking = labels._replace(validation=replace(labels.validation, labels=rare))
    few, none = cautions(lacking, Recipe(batch_size=16), None, False, 1)
    assert few.startswith("40 validation images: small differences between scores may be chance. --train repeats=3")
    assert none == "2 of 10 labels have no validation images and do not count in the score: 0, 1."
    numbers = pairs.pair_splits("regression", 150, 40)
    far = numbers.train.labels.clone()
    far[3, 1] = 1e6
    [_, outlier] = cautions(numbers._replace(train=replace(numbers.train, labels=far)), Recipe(batch_size=16), None, False, None)
    assert outlier.startswith("cents: one training image has 1e+06, 12 standard deviations from the mean")
    assert not unmirrored(numbers.train, Recipe(), Recipe())
    assert "numbers may depend on the side" in unmirrored(numbers.train, Recipe(flip=True), Recipe())[0]


def test_the_score_of_guessing_is_that_of_scikit_learn(pairs: Any) -> None:
    labels, numbers = (pairs.pair_splits(task, 30, 40).validation for task in ("multilabel", "regression"))
    constant = torch.zeros(40, 10)
    expected = average_precision_score(labels.labels, constant)
    assert guessed(labels, ScoreObjective.of(None, None, "multilabel")) == pytest.approx(expected)
    assert guessed(numbers, ScoreObjective.of("r2", None, "regression")) == 0.0
    median = numbers.labels.median(0).values.expand(40, -1)
    assert guessed(numbers, ScoreObjective.of("mae", None, "regression")) == -mean_absolute_error(numbers.labels, median)


def test_a_class_without_validation_images_is_a_caution() -> None:
    found = cautions(_splits([60] * 4, [8, 8, 0, 8], [7] * 4), Recipe(batch_size=32), 5000.0, False, 1)
    assert found == ("1 of 4 classes have no validation images and do not count in the score: owl.",)


def test_copies_of_training_images_are_a_warning() -> None:
    assert copied(PHOTOS, {"validation": 32, "test": 1}) == (
        "32 of 32 validation images and 1 of 28 test images are training images too, pixel by pixel, so scores are too high: "
        "remove the copies.",
    )
    assert copied(PHOTOS, {"validation": 0, "test": 0}) == ()
