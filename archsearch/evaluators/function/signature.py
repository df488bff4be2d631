"""The check that something is a function which can score candidates."""

from __future__ import annotations

import inspect

from archsearch.errors import ConfigurationError, message_in_one_line, wrong_kind


def check_function(function: object) -> None:
    """Raise ConfigurationError unless something can be called with a model and a context and return a score.

    Raises:
        ConfigurationError: It cannot be called, takes other arguments, or is a generator or a coroutine.
    """
    expected = "a function of (model, context) that returns the score"
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(wrong_kind("function", expected, function))
    name = getattr(function, "__name__", type(function).__name__)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"function: expected {expected}; {name} is a generator or a coroutine. Write it with return.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function of C
        return
    try:
        signature.bind(object(), object())
    except TypeError as error:
        raise ConfigurationError(
            f"function: expected {expected}; {name} takes {signature} ({message_in_one_line(error)}). Write "
            f"def {name}(model, context)."
        ) from error
