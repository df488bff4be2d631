"""Devices by the names that configurations and the command line use."""

from __future__ import annotations

import torch

from archsearch.errors import ConfigurationError


def device_named(name: str) -> torch.device:
    """Return the device of a name; `auto` is a GPU where there is one.

    Raises:
        ConfigurationError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"device: expected auto, cpu, cuda or cuda:N; got {name!r}.") from error
