"""Files of states: written whole, read without running what is in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ConfigurationError


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state to a temporary name, then rename it, so that the file is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """Return the state in a file, its tensors on the CPU.

    Raises:
        ConfigurationError: There is no such file, or it holds no state.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ConfigurationError(f"checkpoint: expected a file; {path} does not exist.") from error
    try:
        with file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes lead it to, errors of the file too
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigurationError(
            f"checkpoint: expected what `fit(checkpoint=...)` writes; {path} cannot be read ({reason}). Delete it to start anew."
        ) from error
    if not isinstance(state, dict):
        raise ConfigurationError(f"checkpoint: expected what `fit(checkpoint=...)` writes; {path} holds something else.")
    return state
