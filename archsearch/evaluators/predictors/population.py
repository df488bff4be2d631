"""A population as the tensors that an encoder reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.form import Form


@dataclass(frozen=True, eq=False)
class Population:
    """Architectures as tensors, for one encoder; see `Predictor.prepare`.

    Args:
        encoder: Encoder that reads them.
        form: Form of the graphs.
        tensors: `[architectures, ...]` each.
        structured: Whether the structure of the graphs follows the tensors of the encoder.
        featured: Whether graph features follow these.
    """

    encoder: type[Encoder]
    form: Form
    tensors: tuple[Tensor, ...]
    structured: bool = False
    featured: bool = False

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, rows: slice | Tensor | NDArray[np.integer] | NDArray[np.bool_]) -> Population:
        return replace(self, tensors=tuple(tensor[rows] for tensor in self.tensors))

    def chunks(self, size: int) -> Iterator[tuple[Tensor, ...]]:
        """Yield the tensors of `size` architectures at a time, `[1, size, ...]` each."""
        for start in range(0, len(self), size):
            yield tuple(tensor[start : start + size].unsqueeze(0) for tensor in self.tensors)
