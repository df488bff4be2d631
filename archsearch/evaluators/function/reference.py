"""Functions by their reference, `python:MODULE:FUNCTION`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archsearch.errors import ConfigurationError, did_you_mean
from archsearch.evaluators.source import defined_in
from archsearch.spaces.imported import PREFIX, imported_module, module_of

_ARGUMENT = "evaluator"


def imported_function(reference: str) -> Any:
    """Return what `python:MODULE:NAME` names: a function that trains a model, or an evaluator.

    Raises:
        ConfigurationError: The reference has another form, the module cannot be imported, or it has no such name.
    """
    name = module_of(reference, _ARGUMENT)
    module, attribute = imported_module(name, _ARGUMENT), reference.rpartition(":")[2]
    if not hasattr(module, attribute):
        known = [each for each, value in vars(module).items() if _is_own_function(value, name)]
        hint = did_you_mean(attribute, known) or (f" Its functions: {', '.join(known)}." if known else " It has no function.")
        raise ConfigurationError(f"evaluator: the module {name} has no {attribute!r}.{hint}")
    return getattr(module, attribute)


def reference_to_function(function: Callable[..., Any]) -> str | None:
    """Return the reference from which `imported_function` gets this function in another process, or None if there is none.

    Functions of notebooks and of scripts, and those inside others, have none.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module in (None, "__main__") or not name.isidentifier():
        return None
    reference = f"{PREFIX}{module}:{name}"
    try:
        return reference if imported_function(reference) is function else None
    except ConfigurationError:
        return None


def function_text(function: Callable[..., Any]) -> str:
    """Return a function as the settings of a run name it: by its reference if it has one, else as `train (my_search.py)`."""
    name = getattr(function, "__name__", type(function).__name__)
    return reference_to_function(function) or f"{name} ({defined_in(function) or 'a notebook'})"


def _is_own_function(value: object, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module
