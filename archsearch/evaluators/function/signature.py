"""The check that something is a function which can score candidates."""

from __future__ import annotations

import functools
import inspect
from types import FunctionType, MethodType

from archsearch.errors import ConfigurationError, message_in_one_line, wrong_kind


def check_function(function: object, argument: str = "function") -> None:
    """Raise ConfigurationError unless something can be called with a model and a context and return a score.

    Args:
        function: A function, a method, a partial of one, or an object whose class defines `__call__`.
        argument: What it is given as, for error messages.

    Raises:
        ConfigurationError: It is something else, takes other arguments, or is a generator or a coroutine.
    """
    expected = "a function of (model, context) that returns the score"
    called = isinstance(getattr(type(function), "__call__", None), FunctionType)  # noqa: B004 - not whether, but how
    if isinstance(function, type) or not (isinstance(function, FunctionType | MethodType | functools.partial) or called):
        raise ConfigurationError(wrong_kind(argument, expected, function))
    assert callable(function)
    name = getattr(function, "__name__", type(function).__name__)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{argument}: expected {expected}; {name} is a generator or a coroutine. Write it with return.")
    signature = inspect.signature(function)
    try:
        signature.bind(object(), object())
    except TypeError as error:
        raise ConfigurationError(
            f"{argument}: expected {expected}; {name} takes {signature} ({message_in_one_line(error)}). Write "
            f"def {name}(model, context)."
        ) from error
