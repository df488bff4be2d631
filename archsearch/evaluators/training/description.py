"""Facts and cautions about the images and the training of candidates, stated before a search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch

from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.score_names import CLASSIFICATION, MAE, MULTILABEL, REGRESSION
from archsearch.evaluators.score_objective import ScoreObjective
from archsearch.evaluators.training.recipe import Recipe

_FEW = 400.0
"""Validation images below which the user is warned: the standard error of a score of 50 % is 2.5 points."""
_SKEW = 3.0
"""Images of the largest class for one of the smallest beyond which the user is warned."""
_LEAST_STEPS = 3
_EVEN = 1.1
_FAR = 10.0
"""Standard deviations from the mean beyond which a number is an outlier."""


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
        f"{outputs(splits.train)}; {channels} x {height} x {width} (channels x height x width)."
    )
    steps, size = steps_of(recipe, train)
    fewer = f" ({usual_batch} would be too many for so few)" if usual_batch and usual_batch > size else ""
    training = f"Training: {recipe.epochs} epochs of {steps} steps with {size} images each{fewer}."
    return (parts, training, augmentation(recipe), *splits.train.remarks)


def outputs(images: ImageDataset) -> str:
    """Return in words what is predicted of an image: the number of classes or labels, or the range of numbers."""
    if images.task == CLASSIFICATION:
        return f"{images.num_classes} classes"
    if images.task == MULTILABEL:
        return f"{images.num_classes} labels, {float(images.labels.sum(1, dtype=torch.float64).mean()):.3g} an image"
    low, high = images.labels.amin(0).tolist(), images.labels.amax(0).tolist()
    ranges = [f"{name} from {first:.4g} to {last:.4g}" for name, first, last in zip(images.classes, low, high, strict=True)]
    return f"{', '.join(ranges[:3])}{f' and {len(ranges) - 3} further numbers' if len(ranges) > 3 else ''}"


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


def cautions(splits: Splits, recipe: Recipe, score_images: float | None, balanced: bool, repeats: int | None) -> tuple[str, ...]:
    """Return warnings about the images and the training, one sentence or two each.

    Args:
        splits: The images.
        recipe: How they are trained on.
        score_images: Number of validation images, or what is equal to it; see `Evaluator.score_images`. None for scores that
            are no means over images.
        balanced: Whether the score is the balanced accuracy.
        repeats: Number of trainings of each candidate; None if the space cannot train several.
    """
    found = list(_label_cautions(splits, repeats))
    if score_images is not None and score_images < _FEW:
        error = 100.0 * standard_error(0.5, score_images)
        smallest, worth = _smallest(splits.validation, balanced)
        means = " --train repeats=3 scores each candidate by the mean of three trainings." if repeats == 1 else ""
        found.append(
            f"{len(splits.validation):,} validation images{smallest}: one is {worth:.1f} points, and a score near 50 % has a "
            f"standard error of {error:.1f} points, so smaller differences may be chance.{means}"
        )
    if splits.train.task == CLASSIFICATION and not balanced and is_skewed(splits.train):
        counts = torch.bincount(splits.train.labels, minlength=splits.train.num_classes)
        share, name = largest_class(splits.validation)
        found.append(
            f"The classes have {int(counts.min()):,} to {int(counts.max()):,} training images: always answering {name} scores "
            f"{100.0 * share:.2f} %. The objective balanced_accuracy counts all classes the same, and --train class_weights=true "
            "does so in training."
        )
    if recipe.flip and (pair := splits.train.mirrored):
        found.append(
            f"The classes {pair[0]} and {pair[1]} are mirror images of each other, and training mirrors images: give --train "
            "flip=false."
        )
    steps, size = steps_of(recipe, len(splits.train))
    if steps < _LEAST_STEPS:
        found.append(f"An epoch has {steps} {'step' if steps == 1 else 'steps'} of {size} images: give a smaller batch_size.")
    return tuple(found)


def _label_cautions(splits: Splits, repeats: int | None) -> Iterator[str]:
    """Yield warnings about the labels of few images, about labels that a part lacks, and about numbers far from all others."""
    validation = splits.validation
    if splits.train.task != CLASSIFICATION and len(validation) < _FEW:
        means = " --train repeats=3 scores each candidate by the mean of three trainings." if repeats == 1 else ""
        yield f"{len(validation):,} validation images: small differences between scores may be chance.{means}"
    if splits.train.task == REGRESSION:
        yield from _outliers(splits.train)
        return
    for part, use in ((splits.train, "cannot be learned"), (validation, "do not count in the score")):
        if lacking := _lacking(part):
            named = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            kind = "classes" if part.task == CLASSIFICATION else "labels"
            name = part.name.rpartition("/")[2]
            yield f"{len(lacking)} of {part.num_classes} {kind} have no {name} images and {use}: {named}."


def copied(splits: Splits, number: Mapping[str, int]) -> tuple[str, ...]:
    """Return a warning if validation or test images are training images too; `number` is that of `copies`."""
    counts = {part: count for part, count in number.items() if count}
    if not counts:
        return ()
    named = " and ".join(f"{count:,} of {len(getattr(splits, part)):,} {part} images" for part, count in counts.items())
    return (f"{named} are training images too, pixel by pixel, so scores are too high: remove the copies.",)


def _lacking(images: ImageDataset) -> list[str]:
    """Return the classes or labels that no image has."""
    if images.task == CLASSIFICATION:
        counts = torch.bincount(images.labels, minlength=images.num_classes)
    else:
        counts = images.labels.sum(0)
    return [images.classes[place] for place in (counts == 0).nonzero()[:, 0].tolist()]


def _outliers(images: ImageDataset) -> Iterator[str]:
    """Yield a warning for each target with a number more than 10 standard deviations from the mean."""
    mean, deviation = images.labels.mean(0), images.labels.std(0, correction=0)
    for place, name in enumerate(images.classes):
        far = ((images.labels[:, place] - mean[place]).abs() / deviation[place]).max(0)
        if float(far.values) > _FAR:
            yield (
                f"{name}: one training image has {float(images.labels[int(far.indices), place]):.6g}, {float(far.values):.0f} "
                f"standard deviations from the mean {float(mean[place]):.6g}; all others then hardly count. Check it."
            )


def is_skewed(images: ImageDataset) -> bool:
    """Return whether the largest class has more than three times the images of the smallest one; False for other tasks."""
    if images.task != CLASSIFICATION:
        return False
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
    if images.task == REGRESSION and asked.flip and not fitted.flip:
        return ("Training does not mirror these images, because numbers may depend on the side; --train flip=true mirrors them.",)
    pair = images.mirrored if asked.flip and not fitted.flip else None
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


def guessed(images: ImageDataset, objective: ScoreObjective) -> float:
    """Return the score of guessing on the validation images.

    For classes it is `guessing_accuracy`, and 1 / classes for other scores than accuracy; for sets of labels the mean, over the
    labels that images have, of the fraction that has it: the average precision of a random order. For numbers R2 is 0, that of
    answering the mean, and the absolute error is that of answering the median.
    """
    if objective.task == CLASSIFICATION:
        return guessing_accuracy(images) if objective.is_usual else 1.0 / images.num_classes
    if objective.task == MULTILABEL:
        shares = images.labels.double().mean(0)
        return float(shares[shares > 0].mean()) if bool((shares > 0).any()) else 0.0
    if objective.name != MAE:
        return 0.0
    return -float((images.labels - images.labels.median(0).values).abs().mean())


def equal_images(images: ImageDataset) -> float:
    """Return the number n for which sqrt(p (1 - p) / n) is the standard error of the balanced accuracy p of all classes.

    With k classes of n_c images that is k^2 / sum_c 1 / n_c; it is the number of images if all classes have the same.
    """
    counts = torch.bincount(images.labels, minlength=images.num_classes)
    counts = counts[counts > 0].double()
    return float(len(counts) ** 2 / (1.0 / counts).sum())
