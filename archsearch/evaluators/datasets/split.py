"""Division of a dataset into training, validation and test images: fixed, and stored in the cache folder."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from archsearch.atomic_file import written_atomically
from archsearch.errors import DatasetError
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.datasets.dataset import ImageDataset, Splits
from archsearch.evaluators.datasets.split_rows import split_rows
from archsearch.evaluators.score_names import CLASSIFICATION, REGRESSION

HELD_OUT = 0.1
"""Fraction of the training images that becomes each part which the source lacks; CIFAR's 5,000 validation images of 50,000."""
LEAST_IMAGES = 3
"""Images that a class needs, one a part."""

_log = logging.getLogger(__name__)


def partition(name: str, train: ImageDataset, validation: ImageDataset | None = None, test: ImageDataset | None = None) -> Splits:
    """Return the three parts; a part that the source lacks is split off the training images by `split_rows`, seed 0.

    Args:
        name: Name of the dataset.
        train: Images to learn from.
        validation: Validation images of the source; None if it has none.
        test: Test images of the source; None if it has none.

    Raises:
        DatasetError: There are fewer than two classes, a class has fewer than 3 training images, no label or number differs
            between the images, or a part is empty.
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
    """Raise DatasetError unless there is something to learn, and each class has an image for each part."""
    if not len(train):
        raise DatasetError(f"{train.name}: expected labelled images; got none. Check the path.")
    if len(train) < LEAST_IMAGES:
        raise DatasetError(f"{train.name}: expected at least {LEAST_IMAGES} images, one for each part; got {len(train)}.")
    if train.task != CLASSIFICATION:
        _check_columns(train)
        return
    if train.num_classes < 2:
        raise DatasetError(f"{train.name}: expected images of at least 2 classes; got {train.num_classes}.")
    counts = torch.bincount(train.labels, minlength=train.num_classes)
    least = int(counts.argmin())
    if counts[least] < LEAST_IMAGES:
        raise DatasetError(
            f"{train.name}: expected at least {LEAST_IMAGES} images of each class; class {train.classes[least]!r} has "
            f"{int(counts[least])}. Add images or remove the class."
        )


def _check_columns(train: ImageDataset) -> None:
    """Raise DatasetError if a target has one value only, or no label tells images apart."""
    differs = (train.labels != train.labels[:1]).any(0)
    if train.task == REGRESSION and not bool(differs.all()):
        place = int((~differs).nonzero()[0])
        raise DatasetError(
            f"{train.name}: expected numbers that differ; all {len(train):,} of {train.classes[place]!r} are "
            f"{float(train.labels[0, place]):g}, so there is nothing to learn. Give another column."
        )
    if not bool(differs.any()):
        raise DatasetError(
            f"{train.name}: expected a label that some images have and others have not; all {len(train):,} images have the same "
            f"labels, {int(train.labels[0].sum())} of {len(train.classes)}. Check the column of labels."
        )


def stored_split(dataset: ImageDataset, fractions: Mapping[str, float]) -> dict[str, NDArray[np.int64]]:
    """Return the indices of each part, from the split stored for these images, else from `split_rows`, which is then stored.

    A cache folder that cannot be written is no error: the split computed is the same each time.

    Args:
        dataset: What to split. The file is named by its digest, so equal images at another place have the same split.
        fractions: Fraction of each part by name, summing to 1.

    Raises:
        DatasetError: The stored split does not fit the images.
    """
    path = cache_folder() / "splits" / f"{dataset.digest}-{'-'.join(fractions)}.json"
    text = _read(path)
    if text is not None:
        return _parse(text, path, dataset, tuple(fractions))
    indices = split_rows(dataset.labels.numpy(), tuple(fractions.values()))
    split = dict(zip(fractions, indices, strict=True))
    content = {"dataset": dataset.name, "digest": dataset.digest}
    _write(path, json.dumps({**content, **{part: rows.tolist() for part, rows in split.items()}}, separators=(",", ":")))
    return split


def _read(path: Path) -> str | None:
    """Return the content of a file, or None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _parse(text: str, path: Path, dataset: ImageDataset, parts: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """Return the indices of a stored split; raise DatasetError unless they divide the dataset."""
    try:
        stored = json.loads(text)
        split = {part: np.asarray(stored[part]) for part in parts}
        rows = np.concatenate(list(split.values()))
        fits = rows.dtype.kind == "i" and np.array_equal(np.sort(rows), np.arange(len(dataset)))
        fits = fits and all(map(len, split.values())) and stored["digest"] == dataset.digest
    except (ValueError, KeyError, TypeError):
        fits = False
    if not fits:
        raise DatasetError(
            f"stored split {path}: expected each of the {len(dataset)} images of {dataset.name} in exactly one of "
            f"{', '.join(parts)}; got indices that do not fit. Delete the file to have the split computed again."
        )
    return split


def _write(path: Path, text: str) -> None:
    """Write a split atomically, as several processes may do so at once; warn if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path, durable=False) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        _warn_once(path.parent, error.strerror)


@functools.cache
def _warn_once(folder: Path, reason: str | None) -> None:
    _log.warning(
        "Splits cannot be stored in %s (%s); they are computed each time, with the same outcome. "
        "Set ARCHSEARCH_CACHE to a folder that can be written.",
        folder,
        reason,
    )
