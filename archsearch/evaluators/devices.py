"""Torch's device, CPU threads and GPU memory in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archsearch.errors import ConfigurationError, is_out_of_memory


def device_named(name: str) -> torch.device:
    """Return the device of a name; `auto` is a GPU if there is one, else the CPU.

    Raises:
        ConfigurationError: The name is none that torch knows.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"device: expected auto, cpu, cuda or cuda:N; got {name!r}.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"device: expected auto, cpu, cuda or cuda:N; got {name!r}.") from error


def device_that_is_here(name: str) -> torch.device:
    """Return the device of a name, as `device_named` does, if this machine has it.

    Raises:
        ConfigurationError: The name is none that torch knows, or this process sees no such GPU.
    """
    device = device_named(name)
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= number:
        raise ConfigurationError(
            f"device: expected one of this machine; got {name!r}, but this process sees {number or 'no'} GPUs. In a search give "
            "gpus_per_worker=1, or take device='auto'."
        )
    return device


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Set torch's number of CPU threads within the block, and restore the former number at its end."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def failure_text(error: Exception) -> str:
    """Return why a candidate failed, in one line: the kind of the error and its first line.

    All errors of exhausted memory are of the kind `out of memory`. Torch's cached GPU memory is then released, so that the next
    candidate has it.
    """
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return f"{kind}: {error}".splitlines()[0]
