"""Inputs on which an exported network is tried: images, or what a module of the user takes, in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

BATCH = "batch"
"""Name of the first axis."""
_TRIED = 3


def images(shape: tuple[int, ...], size: int = _TRIED) -> Tensor:
    """Return random images, `[size, *shape]`."""
    return torch.randn((size, *shape), generator=torch.Generator().manual_seed(0))


def batch_like(example: Any, size: int = _TRIED) -> Any:
    """Return a batch of other inputs of the same form.

    Tensors as long as the first one hold an input in each row: numbers become random ones, whole numbers, such as tokens, are
    repeated, so that each is one that the module knows. Other tensors, and what is no tensor, stay.

    Args:
        example: A batch: a tensor, a tuple of positional arguments, or a dict of arguments by name.
        size: Number of inputs.
    """
    generator, rows = torch.Generator().manual_seed(0), _rows(example)

    def one(tensor: Tensor) -> Tensor:
        if not _is_batched(tensor, rows):
            return tensor
        if tensor.is_floating_point():
            return torch.randn((size, *tensor.shape[1:]), generator=generator).to(tensor.dtype)
        return tensor[torch.arange(size) % rows]

    return _mapped(example, one)


def first_row(inputs: Any) -> Any:
    """Return a batch of the first input alone."""
    rows = _rows(inputs)
    return _mapped(inputs, lambda tensor: tensor[:1] if _is_batched(tensor, rows) else tensor)


def arguments_of(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional arguments and those by name with which a module is called."""
    if isinstance(inputs, dict):
        return (), dict(inputs)
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}


def dynamic_shapes(inputs: Any) -> Any:
    """Return what `torch.export.export` takes as `dynamic_shapes` for batches of any size."""
    batch, rows = torch.export.Dim(BATCH, min=1), _rows(inputs)
    found = _mapped(inputs, lambda tensor: {0: batch} if _is_batched(tensor, rows) else None, lambda other: None)
    return found if isinstance(inputs, tuple | dict) else (found,)


def tensors_of(nested: Any) -> list[Tensor]:
    """Return the tensors in nested inputs or outputs, in order."""
    found: list[Tensor] = []
    _mapped(nested, found.append)
    return found


def described(nested: Any) -> str:
    """Return the types and shapes of nested tensors in words, such as ``float32 `[batch, 8, 8]` ``."""
    rows = _rows(nested)

    def words(value: Any) -> str:
        if isinstance(value, Tensor):
            axes = [BATCH, *value.shape[1:]] if _is_batched(value, rows) else [*value.shape]
            return f"{str(value.dtype).removeprefix('torch.')} `[{', '.join(map(str, axes))}]`"
        if isinstance(value, Mapping):
            return ", ".join(f"`{name}`: {words(each)}" for name, each in value.items())
        return f"({', '.join(map(words, value))})" if isinstance(value, list | tuple) else repr(value)

    return words(nested)


def _rows(nested: Any) -> int:
    """Return the length of the first tensor; 0 if there is none."""
    found = tensors_of(nested)
    return len(found[0]) if found and found[0].dim() else 0


def _is_batched(tensor: Tensor, rows: int) -> bool:
    return tensor.dim() > 0 and len(tensor) == rows


def _mapped(value: Any, one: Callable[[Tensor], Any], other: Callable[[Any], Any] = lambda value: value) -> Any:
    """Return a nested value with each tensor replaced."""
    if isinstance(value, Tensor):
        return one(value)
    if isinstance(value, Mapping):
        return {name: _mapped(each, one, other) for name, each in value.items()}
    if isinstance(value, list | tuple):
        items = [_mapped(each, one, other) for each in value]
        return tuple(items) if isinstance(value, tuple) else items
    return other(value)
