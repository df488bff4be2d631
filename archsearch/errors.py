"""Exceptions of archsearch, argument checks, and the text of error messages.

Each message names the argument, what was expected, what was given and what to do next. The command line prints the message
without a traceback and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from archsearch.credentials import hidden


class ArchSearchError(Exception):
    """Base class of all exceptions that archsearch raises itself; their messages never show a password or token."""

    exit_code = 2

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(hidden(each) if isinstance(each, str) else each for each in arguments))


class ConfigurationError(ArchSearchError):
    """A setting, an argument or a configuration file cannot be used as given."""


class ArchitectureError(ArchSearchError):
    """A string, a graph or a genotype is not an architecture of the search space."""


class DatasetError(ArchSearchError):
    """Images or labels cannot be read, or do not fit the task."""


class TableError(ArchSearchError):
    """A benchmark table is missing, corrupt, or does not fit the search space."""


class LedgerError(ArchSearchError):
    """The ledger of evaluations cannot be read or written."""


class RunError(ArchSearchError):
    """A run folder cannot be created, found or resumed."""


class SearchStopped(ArchSearchError, SystemExit):
    """A search was interrupted; its evaluations are in the ledger, and it can be resumed.

    As a `SystemExit`, it ends a script that does not catch it with its message alone, which says how to go on, and without a
    traceback. `except Exception` and `except ArchSearchError` catch it as they do other errors.
    """

    exit_code = 130

    def __init__(self, message: str) -> None:
        SystemExit.__init__(self, message)


def did_you_mean(given: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Return ` Did you mean 'X'?` for the name in `known` that is most similar to `given`, or an empty string if none is."""
    near = difflib.get_close_matches(str(given), list(known), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""


def nearest_first(given: str, known: Iterable[str]) -> list[str]:
    """Return the names in `known`, the most similar to `given` first; names that are equally similar keep their order."""

    def distance(name: str) -> float:
        starts = name.startswith(given) or given.startswith(name)
        return -difflib.SequenceMatcher(None, given.lower(), name.lower()).ratio() - 0.3 * starts

    return sorted(known, key=distance)


def unknown_option(owner: str, given: str, known: Iterable[str]) -> str:
    """Return the error message for an option that `owner` does not have, with those that it has, the most similar first."""
    names = list(known)
    if not names:
        return f"{owner} has no options; got {given!r}. Leave it out."
    listing = ", ".join(nearest_first(given, names))
    return f"{owner} has no option {given!r}.{did_you_mean(given, names, cutoff=0.6)} Options: {listing}."


def unknown_name(argument: str, given: object, known: Iterable[str]) -> str:
    """Return the error message for a name that is not in `known`, with the most similar known name as a suggestion."""
    names = sorted(known)
    return f"{argument}: expected one of {', '.join(names)}; got {given!r}.{did_you_mean(str(given), names)}"


def check_whole_number(argument: str, value: object, least: int = 1) -> None:
    """Raise ConfigurationError unless `value` is an int of at least `least`; a bool is not accepted as an int."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{argument}: expected a whole number of at least {least}; got {value!r}.")


def first_line(error: BaseException) -> str:
    """Return the first non-empty line of an exception's message, or the name of its type if the message is empty."""
    lines = [line.strip() for line in hidden(str(error)).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def message_in_one_line(error: BaseException, limit: int | None = None) -> str:
    """Return the whole message of an exception on one line, or the name of its type if the message is empty.

    Args:
        error: The exception. Each run of whitespace in its message, line breaks included, becomes one space.
        limit: Largest number of characters returned; the rest is cut off. None returns all.
    """
    return (" ".join(hidden(str(error)).split()) or type(error).__name__)[:limit]


def one_line(value: object) -> str:
    """Return the `repr` of a value on one line, for an error message; the `repr` of an array or tensor has several."""
    return " ".join(repr(value).split())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that the machine or a GPU ran out of memory.

    Types are compared by name, so that torch need not be imported.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


@contextmanager
def memory_errors(remedy: str) -> Iterator[None]:
    """Turn out-of-memory exceptions into a `RunError` whose message ends with `remedy`, what the user can do."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(f"memory: this machine or its GPU has too little of it ({first_line(error)}). {remedy}") from error


def wrong_kind(argument: str, expected: str, given: object) -> str:
    """Return the error message for an argument of the wrong type.

    Args:
        argument: Name of the argument.
        expected: What it takes, such as `a search space or its name`.
        given: What came. A class is a frequent slip for an instance of it, and the message says so.
    """
    if isinstance(given, type):
        return f"{argument}: expected {expected}; got the class {given.__name__}: give an instance, {given.__name__}(...)."
    if callable(given) and hasattr(given, "__name__"):
        return f"{argument}: expected {expected}; got the function {given.__name__}."
    if given is None:
        return f"{argument}: expected {expected}; got None."
    if isinstance(given, bool | int | float | str | bytes | tuple | list | dict | set):
        return f"{argument}: expected {expected}; got {reprlib.repr(given)}, of the type {type(given).__name__}."
    return f"{argument}: expected {expected}; got an object of the type {type(given).__name__}."


def check_kind(argument: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Raise ConfigurationError, with the message of `wrong_kind`, unless `value` is an instance of `kind`."""
    if not isinstance(value, kind):
        raise ConfigurationError(wrong_kind(argument, expected, value))
