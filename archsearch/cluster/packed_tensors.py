"""Tensors as one run of bytes, because each costs `torch.save` and `torch.load` as much as a large one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def packed(state: Mapping[str, Any]) -> tuple[dict[str, Any], list[NDArray[np.uint8]]]:
    """Return a state without its tensors, and the memory of each tensor.

    Tensors are taken that are reached through lists and through dictionaries with strings or whole numbers as keys. Others, and
    those with gradients, stay where they are. The state is not changed.

    Args:
        state: Nested tensors and plain data.

    Returns:
        Plain data (and the tensors that stay), for `unpacked`; and for each tensor that was taken its bytes, not copied if they
        are dense.
    """
    found: list[Tensor] = []
    places: list[list[Any]] = []
    plain = _without_tensors(state, [], found, places)
    entries = [
        (place, str(tensor.dtype), list(tensor.shape), list(tensor.stride())) for place, tensor in zip(places, found, strict=True)
    ]
    # As a text, because pickling asks about each object of nested lists whether it is a tensor.
    return {"plain": plain, "tensors": json.dumps(entries)}, [_bytes_of(tensor) for tensor in found]


def unpacked(given: Mapping[str, Any], content: NDArray[np.uint8]) -> dict[str, Any]:
    """Return the state that `packed` was given; tensors are on the CPU, with the strides that they had.

    Args:
        given: The plain data.
        content: `[bytes]`, those of all tensors in order.

    Raises:
        LookupError, TypeError, ValueError, RuntimeError, AttributeError: It is not what `packed` returned.
    """
    import torch

    state: dict[str, Any] = given["plain"]
    start = 0
    for place, dtype, shape, stride in json.loads(given["tensors"]):
        kind = getattr(torch, dtype.removeprefix("torch."))
        tensor = torch.empty_strided(shape, stride, dtype=kind)
        flat = _bytes_of(tensor)
        flat[:] = content[start : start + len(flat)]
        start += len(flat)
        holder: Any = state
        for step in place[:-1]:
            holder = holder[step]
        holder[place[-1]] = tensor
    if start != len(content):
        raise ValueError(f"its tensors have {start} bytes; got {len(content)}")
    return state


def _bytes_of(tensor: Tensor) -> NDArray[np.uint8]:
    """Return the memory of a dense tensor, `[bytes]`; copied by numpy, it needs no other threads of torch."""
    import torch

    flat: NDArray[np.uint8] = tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy()
    return flat


def _without_tensors(value: Any, place: list[Any], found: list[Tensor], places: list[list[Any]]) -> Any:
    """Return a copy of nested data with None for each tensor; tensors and their places are appended to the lists."""
    import torch

    if type(value) is torch.Tensor and value.layout == torch.strided and not value.requires_grad and not value.is_quantized:
        tensor = value.cpu()
        dense = tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last))
        found.append(tensor if dense and tensor.storage_offset() == 0 else tensor.clone(memory_format=torch.contiguous_format))
        places.append(place)
        return None
    if isinstance(value, Mapping):
        return {
            key: _without_tensors(each, [*place, key], found, places) if type(key) in (str, int) else each
            for key, each in value.items()
        }
    if type(value) is list:
        return [_without_tensors(each, [*place, number], found, places) for number, each in enumerate(value)]
    return value
