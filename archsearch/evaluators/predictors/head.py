"""The multi-layer perceptron that maps the vector of an architecture to a score."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import cast

from torch import Tensor, nn

from archsearch.evaluators.predictors.stacked import Generators, Linear, dropout_masks


class Head(nn.Module):
    """Linear, ReLU and dropout for each hidden layer, then one number.

    Args:
        features: Length of the vectors.
        hidden: Widths of the hidden layers.
        dropout: Share of the hidden values that is set to zero in training.
        generators: One for each member: of the weights and of the dropout.
    """

    def __init__(self, features: int, hidden: Sequence[int], dropout: float, generators: Generators) -> None:
        super().__init__()
        self.generators, self.dropout = generators, dropout
        sizes = [features, *hidden, 1]
        layers = nn.ModuleList(Linear(inputs, outputs, generators) for inputs, outputs in pairwise(sizes))
        self.layers = cast("Sequence[Linear]", layers)

    def forward(self, values: Tensor) -> Tensor:
        """Map `[members, rows, features]` to `[members, rows]`."""
        *hidden, last = self.layers
        masks: Sequence[Tensor] = ()
        if self.training and self.dropout and hidden:
            shapes = [(values.shape[1], layer.bias.shape[2]) for layer in hidden]
            masks = dropout_masks(shapes, self.dropout, self.generators)
        for layer, mask in zip_longest(hidden, masks):
            values = layer(values).relu()
            if mask is not None:
                values = values * mask
        scores: Tensor = last(values).squeeze(-1)
        return scores
