"""From the labelled images of a source to the three parts of a dataset."""

from __future__ import annotations

import torch

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.stored_split import stored_split

HELD_OUT = 0.1
"""Share of the training images that a part takes which the source lacks; CIFAR's 5,000 validation images of 50,000."""
LEAST_IMAGES = 3
"""Images that a class needs, one a part."""


def partition(name: str, train: ImageDataset, validation: ImageDataset | None = None, test: ImageDataset | None = None) -> Splits:
    """Return the three parts; a part that the source lacks is split off the training images, stratified, seed 0.

    Args:
        name: Name of the dataset.
        train: The images to learn from.
        validation: The source's own validation images, if it has some.
        test: The source's own test images, if it has some.

    Raises:
        DatasetError: There are fewer than two classes, a class has fewer than 3 training images, or a part is empty.
    """
    _check(train)
    given = {"validation": validation, "test": test}
    lacking = [part for part, images in given.items() if images is None]
    parts = {"train": train} | {part: images for part, images in given.items() if images is not None}
    if lacking:
        fractions = {"train": 1.0 - HELD_OUT * len(lacking)} | dict.fromkeys(lacking, HELD_OUT)
        for part, rows in stored_split(train, fractions).items():
            parts[part] = train.take(torch.from_numpy(rows), f"{name}/{part}")
    for part, images in parts.items():
        if not len(images):
            raise DatasetError(f"{part} images of {name}: expected at least one; got none. Add some or leave the part out.")
    return Splits(**parts)


def _check(train: ImageDataset) -> None:
    """Refuse what is not a classification task or cannot be split."""
    if not len(train):
        raise DatasetError(f"{train.name}: expected labelled images; got none. Check the path.")
    if train.num_classes < 2:
        raise DatasetError(f"{train.name}: expected images of at least 2 classes; got {train.num_classes}.")
    counts = torch.bincount(train.labels, minlength=train.num_classes)
    least = int(counts.argmin())
    if counts[least] < LEAST_IMAGES:
        raise DatasetError(
            f"{train.name}: expected at least {LEAST_IMAGES} images of each class; class {train.classes[least]!r} has "
            f"{int(counts[least])}. Add images or remove the class."
        )
