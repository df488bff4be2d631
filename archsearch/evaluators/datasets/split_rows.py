"""Division of images by their labels: classes and labels in their overall proportions, numbers at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def split_rows(labels: NDArray[np.generic], fractions: Sequence[float], seed: int = 0) -> tuple[Rows, ...]:
    """Return disjoint, sorted index arrays, one a fraction, by the kind of labels.

    Args:
        labels: `[images]` classes, `[images, labels]` bool, or `[images, targets]` floating.
        fractions: Fractions of the images, summing to 1.
        seed: Seed of the order in which images are drawn.
    """
    if labels.dtype.kind == "f":
        return random_split(len(labels), fractions, seed)
    if labels.dtype.kind == "b":
        return multilabel_split(labels, fractions, seed)
    return stratified_split(labels, tuple(fractions), seed)


def stratified_split(labels: NDArray[np.generic], fractions: tuple[float, ...], seed: int = 0) -> tuple[Rows, ...]:
    """Return disjoint, sorted index arrays, one a fraction, each with the classes in their overall proportions.

    A class with at least as many images as there are parts has an image in each part.

    Args:
        labels: `[images]`.
        fractions: Fractions of the images, summing to 1. The last part takes what rounding leaves.
        seed: Seed of the shuffle within each class.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in fractions]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for part, chunk in zip(parts, _cut(members, fractions), strict=True):
            part.extend(chunk.tolist())
    return _sorted(parts)


def random_split(images: int, fractions: Sequence[float], seed: int = 0) -> tuple[Rows, ...]:
    """Return disjoint, sorted index arrays, one a fraction, drawn at random; each has an image if there are enough."""
    return _sorted(_cut(np.random.default_rng(seed).permutation(images), fractions))


def multilabel_split(labels: NDArray[np.generic], fractions: Sequence[float], seed: int = 0) -> tuple[Rows, ...]:
    """Return disjoint, sorted index arrays, one a fraction, each with about its share of the images of every label.

    The iterative stratification of K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD
    2011, algorithm 1: of the label that has the fewest images left, each image goes to the part that lacks most images of this
    label, among equals to the one that lacks most images, and then by chance. Images without labels come last.

    Args:
        labels: `[images, labels]` bool.
        fractions: Fractions of the images, summing to 1.
        seed: Seed of the order of images, and of ties.
    """
    rng, shares = np.random.default_rng(seed), np.asarray(fractions)
    has = np.asarray(labels, dtype=bool)
    lacking, free = shares * len(has), np.ones(len(has), dtype=bool)
    lacking_labels = shares[:, None] * has.sum(0)
    parts: list[list[int]] = [[] for _ in fractions]

    def put(row: int, wanted: NDArray[np.float64]) -> None:
        keys = np.stack([wanted, lacking, rng.random(len(parts))])
        part = int(np.lexsort(keys[::-1])[-1])
        parts[part].append(row)
        lacking[part] -= 1.0
        lacking_labels[part] -= has[row]
        free[row] = False

    while (left := has[free].sum(0)).any():
        label = int(np.where(left > 0, left, len(has) + 1).argmin())
        for row in rng.permutation(np.flatnonzero(free & has[:, label])):
            put(int(row), lacking_labels[:, label])
    for row in rng.permutation(np.flatnonzero(free)):
        put(int(row), lacking)
    for part in parts:  # of very few images
        if not part and len(has) >= len(parts):
            part.append(max(parts, key=len).pop())
    return _sorted(parts)


def _cut(members: Rows, fractions: Sequence[float]) -> list[Rows]:
    """Return consecutive pieces in these proportions; none is empty if there are as many members as pieces."""
    first = np.arange(1, len(fractions))
    cuts = np.floor(np.cumsum(fractions)[:-1] * len(members) + 0.5).astype(int)
    if len(members) >= len(fractions):
        cuts = np.clip(cuts, first, len(members) - len(fractions) + first)
    return list(np.split(members, cuts))


def _sorted(parts: Sequence[Sequence[int] | Rows]) -> tuple[Rows, ...]:
    return tuple(np.sort(np.array(part, dtype=np.int64)) for part in parts)
