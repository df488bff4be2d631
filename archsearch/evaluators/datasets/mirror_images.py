"""Classes that are mirror images of each other, such as arrows to the left and to the right, found by their mean images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_SIDE = 16
_CLASSES = 200
_SIGNAL, _REST = 6.0, 0.1


class MirroredClasses:
    """Finds two classes that are mirror images, left to right, of each other, from images that come in chunks.

    With the mean images m_a, m_b and the noise of means e = v_a / n_a + v_b / n_b (v: variance of a class's images, summed over
    pixels), they are if `|m_a - m_b|^2 > 6 e` and `|m_a - mirror(m_b)|^2 - e < 0.1 (|m_a - m_b|^2 - e)`. So classes of which only
    single images are mirrored, at other places each time, are not found. Images are averaged to 16 x 16 pixels; of more than
    200 classes the first 200 are compared.

    Args:
        shape: Images, channels, height and width.
        classes: Name of each class.
    """

    def __init__(self, shape: Sequence[int], classes: Sequence[str]) -> None:
        self._classes, self._channels = classes, shape[1]
        self._side = min(shape[2], _SIDE), min(shape[3], _SIDE)
        pixels = shape[1] * self._side[0] * self._side[1]
        self._total, self._squares = (torch.zeros(len(classes), pixels, dtype=torch.float64) for _ in range(2))
        self._counts = torch.zeros(len(classes), dtype=torch.float64)

    def add(self, images: Tensor, labels: Tensor) -> None:
        """Add images, `[chunk, channels, height, width]` uint8, of the classes `[chunk]`."""
        small = F.adaptive_avg_pool2d(images.float(), self._side).flatten(1).double()
        self._total.index_add_(0, labels, small)
        self._squares.index_add_(0, labels, small.square())
        self._counts += torch.bincount(labels, minlength=len(self._classes)).double()

    def found(self) -> tuple[str, str] | None:
        """Return the names of two such classes; None if there are none."""
        counts = self._counts[:, None]
        mean = self._total / counts.clamp_min(1)
        variance = ((self._squares - counts * mean.square()).clamp_min(0) / (counts - 1).clamp_min(1)).sum(1)
        noise = variance / self._counts.clamp_min(1)
        usable = torch.nonzero(self._counts > 1)[:_CLASSES, 0]
        mean, noise = mean[usable], noise[usable]
        mirrored = mean.view(-1, self._channels, *self._side).flip(3).flatten(1)
        apart, beside = torch.cdist(mean, mean).square(), torch.cdist(mean, mirrored).square()
        both = noise[:, None] + noise[None, :]
        pairs = torch.nonzero(((apart > _SIGNAL * both + 1e-6) & (beside - both < _REST * (apart - both))).triu(1))
        if not len(pairs):
            return None
        first, second = usable[pairs[0]].tolist()
        return self._classes[first], self._classes[second]
