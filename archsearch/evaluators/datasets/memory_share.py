"""The memory that the images of a dataset take, and the share of it that they may take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archsearch.errors import ConfigurationError

SHARE = 0.25
"""Fraction of the memory that a process may use which the images of a dataset may take."""
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GB = 1e9


def memory_limit(memory_gb: float | None = None) -> int:
    """Return the bytes that the images of a dataset may take in memory.

    Args:
        memory_gb: What the user says, in GB (10^9 bytes); None takes a quarter of `usable_memory`.

    Raises:
        ConfigurationError: `memory_gb` is negative.
    """
    if memory_gb is None:
        return int(SHARE * usable_memory())
    if not 0.0 <= memory_gb < float("inf"):
        raise ConfigurationError(f"memory_gb: expected gigabytes for the images in memory, from 0; got {memory_gb!r}.")
    return int(memory_gb * _GB)


def usable_memory() -> int:
    """Return the bytes that processes here may use together: the memory of the machine, or the limit of the container."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _LIMITS:
        try:
            text = file.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min(found)


def decoded_bytes(images: int, shape: Sequence[int]) -> int:
    """Return the bytes of the pixels of images `(channels, height, width)`."""
    channels, height, width = shape
    return images * channels * height * width


def streamed_remark(images: int, shape: Sequence[int], limit: int) -> str:
    """Return a sentence that says why images are read from their files as they are needed."""
    size = decoded_bytes(images, shape) / _GB
    return (
        f"{images:,} images of {shape[0]} x {shape[1]} x {shape[2]} would take {size:.3g} GB of memory, more than the "
        f"{limit / _GB:.3g} GB for images (memory_gb): they are decoded as they are needed, with the same results."
    )
