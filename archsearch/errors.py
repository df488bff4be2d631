"""The errors that archsearch raises on purpose.

Every message names the argument, what was expected, what came and what to do next. The command line prints the message
alone and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class ArchSearchError(Exception):
    """The root of all errors raised on purpose by archsearch."""

    exit_code = 2


class ConfigurationError(ArchSearchError):
    """A setting, an argument or a configuration file cannot be used as given."""


class ArchitectureError(ArchSearchError):
    """A text, a graph or a genotype is not an architecture of the space at hand."""


class DatasetError(ArchSearchError):
    """Images or labels cannot be read, or do not suit the task."""


class TableError(ArchSearchError):
    """A benchmark table is missing, damaged, or does not fit the space."""


class LedgerError(ArchSearchError):
    """The ledger of evaluations cannot be read or written."""


class RunError(ArchSearchError):
    """A run folder cannot be created, found or resumed."""


class SearchStopped(ArchSearchError):
    """A search was interrupted; what was evaluated is in the ledger and the search can be resumed."""

    exit_code = 130


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'X'?` for the name in `known` nearest to `given`, or an empty text."""
    near = difflib.get_close_matches(str(given), list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown_name(argument: str, given: object, known: Iterable[str]) -> str:
    """Return the message for a name that is not among the `known` ones."""
    names = sorted(known)
    return f"{argument}: expected one of {', '.join(names)}; got {given!r}.{did_you_mean(str(given), names)}"


def check_whole_number(argument: str, value: object, least: int = 1) -> None:
    """Do nothing where a value is a whole number that is large enough.

    Raises:
        ConfigurationError: It is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{argument}: expected a whole number of at least {least}; got {value!r}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def one_line(value: object) -> str:
    """Return a value as text for a message: texts as they are written in code, tensors in one line."""
    return " ".join(repr(value).split())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, of the machine or a GPU; told by name, so that torch need not be there."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Turn errors of too little memory into a `RunError` that tells what to do."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(f"memory: this machine or its GPU has too little of it ({first_line(error)}). {remedy}") from error
