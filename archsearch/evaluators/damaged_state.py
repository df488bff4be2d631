"""States that are not whole: one error for all that they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from archsearch.errors import ConfigurationError, first_line, one_line

_DAMAGE = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


@contextmanager
def taking_over(owner: str) -> Iterator[None]:
    """Turn whatever a damaged state leads to within the block into an error that says so.

    Args:
        owner: What is taking the state over, for the message.

    Raises:
        ConfigurationError: The state lacks a part, or a part does not fit the others.

    Example:
        >>> with taking_over("predictor"):
        ...     model.load_state_dict(state["model"])
    """
    try:
        yield
    except _DAMAGE as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise ConfigurationError(
            f"state: expected what `state()` of the same {owner} returned; got one that is damaged ({why}). Fit anew."
        ) from error


def check_identity(state: Mapping[str, Any], own: Mapping[str, Any], remedy: str) -> None:
    """Refuse a state that does not belong to what takes it over.

    Args:
        state: What was saved.
        own: What must be alike in it, by name.
        remedy: What to do, for the message.

    Raises:
        ConfigurationError: Something differs.
    """
    for name, expected in own.items():
        if state.get(name) != expected:
            raise ConfigurationError(
                f"state: expected one whose {name} is {expected!r}; got {one_line(state.get(name))}. {remedy}"
            )
