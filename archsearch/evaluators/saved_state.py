"""Files of states: written whole, read without running what is in them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from archsearch.errors import ConfigurationError, RunError, first_line, one_line


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state to a temporary name, then rename it, so that the file is never there in part.

    Raises:
        RunError: It cannot be written. What was under its name before is still there.
    """
    try:
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
    except (OSError, RuntimeError) as error:
        # Where a file cannot be written, torch raises an error of its own in the course of the one that says why.
        why = error if isinstance(error, OSError) else error.__context__
        if not isinstance(why, OSError):
            raise
        raise RunError(f"checkpoint: cannot write {path} ({why.strerror}); choose another place.") from error


def read_state(path: Path) -> dict[str, Any]:
    """Return the state in a file, its tensors on the CPU.

    Raises:
        ConfigurationError: There is no such file, it holds no state, or a bit of it is wrong.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise ConfigurationError(f"checkpoint: expected a file; {path} does not exist.") from error
    try:
        with file:
            with zipfile.ZipFile(file) as archive:  # torch writes checksums, but does not read them
                wrong = archive.testzip()
            if wrong is not None:
                raise ValueError(f"the checksum of {wrong} is wrong")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # zipfile and torch raise whatever the bytes lead them to, errors of the file too
        reason = first_line(error)
        raise ConfigurationError(
            f"checkpoint: expected what `fit(checkpoint=...)` writes; {path} cannot be read ({reason}). Delete it to start anew."
        ) from error
    if not isinstance(state, dict):
        raise ConfigurationError(f"checkpoint: expected what `fit(checkpoint=...)` writes; {path} holds something else.")
    return state


def check_identity(state: Mapping[str, Any], own: Mapping[str, Any], remedy: str) -> None:
    """Raise ConfigurationError unless a saved state belongs to the object that loads it.

    Args:
        state: What was saved.
        own: The entries that must be equal in it, by name.
        remedy: What to do, for the message.

    Raises:
        ConfigurationError: An entry differs. The message has both values; of two dictionaries the parts that differ.
    """
    for name, expected in own.items():
        given = state.get(name)
        if given == expected:
            continue
        if isinstance(expected, dict) and isinstance(given, dict):
            differing = [key for key in expected if expected[key] != given.get(key)]
            expected, given = ({key: side.get(key) for key in differing} for side in (expected, given))
        origin = f", of a model trained on {state['task']}" if "task" in state else ""
        raise ConfigurationError(
            f"state: expected one whose {name.replace('_', ' ')} is {expected!r}; got {one_line(given)}{origin}. {remedy}"
        )
