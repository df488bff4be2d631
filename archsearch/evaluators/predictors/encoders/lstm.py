"""An LSTM over the sequence of an architecture.

The LSTM with which X. Ning et al., arXiv 2004.01899, compare GATES (table 1): one layer, whose last output is the vector.
S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, with the forget gate of F. Gers
et al., 2000:

    i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of (x W_x + h W_h + b)
    c' = f * c + i * g
    h' = o * tanh(c')
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from archsearch.evaluators.predictors.encoders.encoder import Encoder
from archsearch.evaluators.predictors.encoders.sequence import bits_and_operators
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.stacked import Generators, chosen, normal, uniform
from archsearch.spaces import GraphBatch

_BITS = 2


class LSTM(Encoder):
    """Reads the bits and then the operators of an architecture, each a token with its own embedding; see `sequence`.

    Args:
        form: Form of the space's graphs.
        settings: Sizes; embeddings and states have `recurrent` features.
        generators: One for each member.
    """

    fixed_size: ClassVar[bool] = True

    def __init__(self, form: Form, settings: Settings, generators: Generators) -> None:
        super().__init__()
        self._make(_BITS + len(form.vocabulary) - 1, settings, generators)  # 0 and 1, padding, operators

    def _make(self, tokens: int, settings: Settings, generators: Generators) -> None:
        self.features = size = settings.recurrent
        self.tokens = normal(generators, (tokens, size))
        self.from_token = uniform(generators, (size, 4 * size), size**-0.5)
        self.from_state = uniform(generators, (size, 4 * size), size**-0.5)
        self.bias = uniform(generators, (1, 4 * size), size**-0.5)

    @staticmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        bits, operators = bits_and_operators(batch, form)
        return (torch.cat([bits, operators + _BITS], dim=1),)

    def forward(self, *tensors: Tensor) -> Tensor:
        (tokens,) = tensors
        # What a token adds to the gates is the same wherever it stands, so that it is computed once for each kind of token.
        table = torch.baddbmm(self.bias, self.tokens, self.from_token)
        state = memory = table.new_zeros(len(table), tokens.shape[1], self.features)
        for token in tokens.unbind(2):
            gates = torch.baddbmm(chosen(table, token), state, self.from_state)
            entry, forget, output = gates[..., : 3 * self.features].sigmoid().chunk(3, dim=2)
            memory = forget * memory + entry * gates[..., 3 * self.features :].tanh()
            state = output * memory.tanh()
        return state
