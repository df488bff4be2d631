"""The identity as an encoder: the sequence of an architecture, as numbers.

The multi-layer perceptron with which X. Ning et al., arXiv 2004.01899, compare GATES (table 1); the network is the head.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.encoders.sequence import bits_and_operators
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators
from archsearch.spaces import GraphBatch


class RawNumbers(Encoder):
    """Bits and operators as numbers, of which the vector of an architecture is made; see `sequence`.

    Args:
        form: Form of the space's graphs.
        settings: Not used.
        generators: One for each member.
    """

    fixed_size: ClassVar[bool] = True

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self.members = len(generators)
        pairs = form.nodes * (form.nodes - 1) // 2
        inner = form.nodes - form.inputs - 1
        on_edges = max(form.slots, 1) * form.width * (form.width - 1) // 2
        self.features = form.cells * (on_edges or pairs + inner)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        return (torch.cat(bits_and_operators(batch, form), dim=1),)

    def forward(self, *tensors: Tensor) -> Tensor:
        return tensors[0].to(torch.float32).expand(self.members, -1, -1)
