"""The mean of predictions, which joins several networks: of classes, of labels or of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from archsearch.spaces.operators.operator import Operator, Shape, Tensors


@dataclass(frozen=True)
class MeanPrediction(Operator):
    """The logarithm of the mean of softmaxes, `log((softmax(x_1) + ... + softmax(x_n)) / n)`; in training the last input.

    So each network of an ensemble has its own loss in training, and learns as it would alone. An input that is given several
    times counts as often.

    Shapes:
        inputs and output `[batch, classes]`.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[-1]

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        if training:
            return inputs[-1]
        return torch.stack([logits.float().log_softmax(1) for logits in inputs]).logsumexp(0) - math.log(len(inputs))


@dataclass(frozen=True)
class MeanLabels(MeanPrediction):
    """The logit of the mean of sigmoids, `log(p / (1 - p))` with `p = (sigmoid(x_1) + ... + sigmoid(x_n)) / n`.

    Shapes:
        inputs and output `[batch, labels]`.
    """

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        if training:
            return inputs[-1]
        logits = torch.stack([each.float() for each in inputs])
        return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)


@dataclass(frozen=True)
class MeanNumbers(MeanPrediction):
    """The mean of the inputs, `(x_1 + ... + x_n) / n`.

    Shapes:
        inputs and output `[batch, targets]`.
    """

    def apply(self, inputs: Tensors, parameters: Tensors = (), buffers: Tensors = (), training: bool = True) -> Tensor:
        if training:
            return inputs[-1]
        return torch.stack([each.float() for each in inputs]).mean(0)
