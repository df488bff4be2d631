"""Saved states: files written atomically and read without running code, and the checks before a state is loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archsearch.atomic_file import written_atomically
from archsearch.errors import ConfigurationError, RunError, first_line, one_line

# torch is imported where a file is written or read: the Gaussian process, which checks its states here, does without.

_CORRUPT = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""Kinds of errors that loading a corrupt state can raise."""


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state atomically, so that the file is never there in part.

    Raises:
        RunError: It cannot be written. The former file of this name, if any, is still there.
    """
    import torch

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path) as temporary, temporary.open("wb") as file:
            torch.save(dict(state), file)
    except (OSError, RuntimeError) as error:
        # If a file cannot be written, torch raises an error of its own while it handles the one that says why.
        why = error if isinstance(error, OSError) else error.__context__
        if not isinstance(why, OSError):
            raise
        raise RunError(f"checkpoint: cannot write {path} ({why.strerror}); choose another place.") from error


def read_state(path: Path) -> dict[str, Any]:
    """Return the state in a file, its tensors on the CPU.

    Raises:
        ConfigurationError: There is no such file, it holds no state, or it is corrupt in a single bit.
    """
    import torch

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


@contextmanager
def taking_over(owner: str) -> Iterator[None]:
    """Turn any error that a corrupt saved state raises within the block into one ConfigurationError.

    Args:
        owner: Kind of object that loads the state, for the message.

    Raises:
        ConfigurationError: The state lacks a part, or a part does not fit the others.

    Example:
        >>> from archsearch.evaluators.saved_state import taking_over
        >>> with taking_over("predictor"):
        ...     weights = {"weights": [1.0]}["weights"]
    """
    try:
        yield
    except _CORRUPT as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise ConfigurationError(
            f"state: expected what `state()` of the same {owner} returned; got one that is corrupt ({why}). Fit anew."
        ) from error


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
