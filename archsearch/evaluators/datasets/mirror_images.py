"""Classes that are mirror images of each other, such as arrows to the left and to the right, found by their mean images."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from archsearch.evaluators.datasets.dataset import ImageDataset
from archsearch.evaluators.score_names import CLASSIFICATION

_SIDE = 16
_CHUNK = 4096
_CLASSES = 200
_SIGNAL, _REST = 6.0, 0.1


def mirrored_classes(dataset: ImageDataset) -> tuple[str, str] | None:
    """Return two classes that are mirror images, left to right, of each other; None if no two are.

    With the mean images m_a, m_b and the noise of means e = v_a / n_a + v_b / n_b (v: variance of a class's images, summed over
    pixels), they are if `|m_a - m_b|^2 > 6 e` and `|m_a - mirror(m_b)|^2 - e < 0.1 (|m_a - m_b|^2 - e)`. So classes of which only
    single images are mirrored, at other places each time, are not found.

    Args:
        dataset: The training images, with classes; of others none are found. They are averaged to 16 x 16 pixels; of more
            than 200 classes the first 200 are compared.
    """
    if dataset.task != CLASSIFICATION:
        return None
    side = min(dataset.shape[1], _SIDE), min(dataset.shape[2], _SIDE)
    pixels = dataset.shape[0] * side[0] * side[1]
    total, squares = (torch.zeros(dataset.num_classes, pixels, dtype=torch.float64) for _ in range(2))
    for images, labels in zip(dataset.images.split(_CHUNK), dataset.labels.split(_CHUNK), strict=True):
        small = F.adaptive_avg_pool2d(images.float(), side).flatten(1).double()
        total.index_add_(0, labels, small)
        squares.index_add_(0, labels, small.square())
    counts = torch.bincount(dataset.labels, minlength=dataset.num_classes).double()[:, None]
    mean = total / counts.clamp_min(1)
    variance = ((squares - counts * mean.square()).clamp_min(0) / (counts - 1).clamp_min(1)).sum(1)
    noise = variance / counts[:, 0].clamp_min(1)
    usable = torch.nonzero(counts[:, 0] > 1)[:_CLASSES, 0]
    mean, noise = mean[usable], noise[usable]
    mirrored = mean.view(-1, dataset.shape[0], *side).flip(3).flatten(1)
    apart, beside = torch.cdist(mean, mean).square(), torch.cdist(mean, mirrored).square()
    both = noise[:, None] + noise[None, :]
    found = (apart > _SIGNAL * both + 1e-6) & (beside - both < _REST * (apart - both))
    pairs = torch.nonzero(found.triu(1))
    if not len(pairs):
        return None
    first, second = usable[pairs[0]].tolist()
    return dataset.classes[first], dataset.classes[second]
