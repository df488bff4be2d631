"""Records the calls of some functions of torch, such as rectified linear units, from modules and from plain code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

RECTIFIERS: frozenset[Any] = frozenset({torch.relu, torch.relu_, F.relu, F.relu_, Tensor.relu, Tensor.relu_})
"""Rectified linear units."""
NORMALISATIONS: frozenset[Any] = frozenset({torch.batch_norm, F.batch_norm})
"""Batch normalisation."""
MEANS: frozenset[Any] = frozenset({torch.mean, Tensor.mean, F.adaptive_avg_pool2d})
"""What global average pooling calls."""


class Call(NamedTuple):
    """First input and output of a call."""

    given: Tensor
    output: Tensor


class CallRecorder(TorchFunctionMode):
    """Collects the calls of some functions within a block, in the order of execution.

    A function that calls another one of the collection is recorded once.

    Args:
        functions: The functions.

    Attributes:
        calls: The calls.

    Example:
        >>> import torch
        >>> with CallRecorder(RECTIFIERS) as recorded:
        ...     _ = torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
        >>> recorded.calls[0].output
        tensor([0., 2.])
    """

    def __init__(self, functions: Collection[Callable[..., Any]]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._functions = functions

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))  # without this mode: a mode is off within its own function
        if func in self._functions:
            self.calls.append(Call(args[0] if args else (kwargs or {})["input"], result))
        return result
