"""Facts and cautions about the images and the training of candidates, stated before a search."""

from __future__ import annotations

import math

import torch

from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.mirror_images import mirrored_classes
from archsearch.evaluators.training.recipe import Recipe

_FEW = 400.0
"""Validation images below which the user is warned: the standard error of a score of 50 % is 2.5 points."""
_SKEW = 3.0
"""Images of the largest class for one of the smallest beyond which the user is warned."""
_LEAST_STEPS = 3
_EVEN = 1.1


def facts(splits: Splits, recipe: Recipe, name: str, usual_batch: int | None = None) -> tuple[str, ...]:
    """Return sentences on the parts of a dataset, the steps of a training and its augmentation, and the dataset's own remarks.

    Args:
        splits: The images.
        recipe: How they are trained on.
        name: Name of the dataset.
        usual_batch: Batch size for many images, if a smaller one was chosen.
    """
    train, validation, test = (len(part) for part in splits)
    channels, height, width = splits.train.shape
    parts = (
        f"Images of {name}: {train:,} for training, {validation:,} for validation, {test:,} for testing; "
        f"{splits.train.num_classes} classes; {channels} x {height} x {width} (channels x height x width)."
    )
    steps, size = steps_of(recipe, train)
    fewer = f" ({usual_batch} would be too many for so few)" if usual_batch and usual_batch > size else ""
    training = f"Training: {recipe.epochs} epochs of {steps} steps with {size} images each{fewer}."
    return (parts, training, augmentation(recipe), *splits.train.remarks)


def augmentation(recipe: Recipe) -> str:
    """Return a sentence on how training images are changed at random."""
    ways = [
        (recipe.resized_crop, f"cropped to {100 * recipe.resized_crop:g} to 100 % of their area", "resized_crop=0"),
        (recipe.crop, f"shifted by up to {recipe.crop} pixels", "crop=0"),
        (recipe.flip, "mirrored left to right", "flip=false"),
        (recipe.cutout, f"covered by a square of {recipe.cutout} pixels", "cutout=0"),
    ]
    used = [(text, option) for value, text, option in ways if value]
    if not used:
        return "Training images are not changed at random (no crops, no mirroring)."
    texts, options = zip(*used, strict=True)
    return f"Training images are {', '.join(texts)} at random; --train {' --train '.join(options)} turns this off."


def cautions(splits: Splits, recipe: Recipe, score_images: float, balanced: bool, repeats: int | None) -> tuple[str, ...]:
    """Return warnings about the images and the training, one sentence or two each.

    Args:
        splits: The images.
        recipe: How they are trained on.
        score_images: Number of validation images, or what is equal to it; see `Evaluator.score_images`.
        balanced: Whether the score is the balanced accuracy.
        repeats: Number of trainings of each candidate; None if the space cannot train several.
    """
    found = []
    if score_images < _FEW:
        error = 100.0 * standard_error(0.5, score_images)
        smallest, worth = _smallest(splits.validation, balanced)
        means = " --train repeats=3 scores each candidate by the mean of three trainings." if repeats == 1 else ""
        found.append(
            f"{len(splits.validation):,} validation images{smallest}: one is {worth:.1f} points, and a score near 50 % has a "
            f"standard error of {error:.1f} points, so smaller differences may be chance.{means}"
        )
    if not balanced and is_skewed(splits.train):
        counts = torch.bincount(splits.train.labels, minlength=splits.train.num_classes)
        share, name = largest_class(splits.validation)
        found.append(
            f"The classes have {int(counts.min()):,} to {int(counts.max()):,} training images: always answering {name} scores "
            f"{100.0 * share:.2f} %. The objective balanced_accuracy counts all classes the same, and --train class_weights=true "
            "does so in training."
        )
    if recipe.flip and (pair := mirrored_classes(splits.train)):
        found.append(
            f"The classes {pair[0]} and {pair[1]} are mirror images of each other, and training mirrors images: give --train "
            "flip=false."
        )
    steps, size = steps_of(recipe, len(splits.train))
    if steps < _LEAST_STEPS:
        found.append(f"An epoch has {steps} {'step' if steps == 1 else 'steps'} of {size} images: give a smaller batch_size.")
    return tuple(found)


def is_skewed(images: ImageDataset) -> bool:
    """Return whether the largest class has more than three times the images of the smallest one."""
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    return int(counts.max()) > _SKEW * int(counts.min())


def _smallest(images: ImageDataset, balanced: bool) -> tuple[str, float]:
    """Return words on the smallest class, if all classes count the same, and the points of a score that one of its images is."""
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    counts = torch.where(counts > 0, counts, counts.max() + 1)
    if not balanced:
        return "", 100.0 / len(images)
    least = int(counts.argmin())
    return f", {int(counts[least])} of the class {images.classes[least]}", 100.0 / (images.num_classes * int(counts[least]))


def unmirrored(images: ImageDataset, asked: Recipe, fitted: Recipe) -> tuple[str, ...]:
    """Return a sentence on mirroring if the recipe for the dataset has it, but that fitted to the images has not."""
    pair = mirrored_classes(images) if asked.flip and not fitted.flip else None
    if pair is None:
        return ()
    return (
        f"Training does not mirror these images, because the classes {pair[0]} and {pair[1]} are mirror images of each other; "
        "--train flip=true mirrors them all the same.",
    )


def steps_of(recipe: Recipe, images: int) -> tuple[int, int]:
    """Return the steps of an epoch and the images of a step."""
    size = min(recipe.batch_size, images)
    return images // size, size


def standard_error(score: float, images: float) -> float:
    """Return the standard error of an accuracy by the choice of the images alone: sqrt(p (1 - p) / n)."""
    return math.sqrt(max(0.0, score * (1.0 - score)) / images)


def largest_class(images: ImageDataset) -> tuple[float, str]:
    """Return the share and the name of the class with the most images: the accuracy of always answering it."""
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    largest = int(counts.argmax())
    return float(counts[largest]) / max(1, len(images)), images.classes[largest]


def guessing_accuracy(images: ImageDataset) -> float:
    """Return the share of the largest class; 1 / classes if that is at most a tenth above it, as where a split had to round."""
    share, even = largest_class(images)[0], 1.0 / images.num_classes
    return share if share > _EVEN * even else even


def equal_images(images: ImageDataset) -> float:
    """Return the number n for which sqrt(p (1 - p) / n) is the standard error of the balanced accuracy p of all classes.

    With k classes of n_c images that is k^2 / sum_c 1 / n_c; it is the number of images if all classes have the same.
    """
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    counts = counts[counts > 0].double()
    return float(len(counts) ** 2 / (1.0 / counts).sum())
