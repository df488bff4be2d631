"""Sending an evaluator to the workers, and the reason if it cannot be sent."""

from __future__ import annotations

import functools
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import ray
from ray import cloudpickle

from archsearch.errors import ConfigurationError, message_in_one_line
from archsearch.evaluators.evaluator import Evaluator

_DEEPEST = 4


def sent(content: Any, evaluator: Evaluator) -> ray.ObjectRef[Any]:
    """Put what workers need where they find it.

    A function of the user's own module is sent as it is now, with what it names there. Workers that import the module would need
    its folder, and those that imported it before a change would go on with what it was.

    Args:
        content: What they need, the evaluator among it.
        evaluator: The evaluator.

    Raises:
        ConfigurationError: The evaluator cannot be pickled; the message names the part that cannot.
    """
    if (module := _own_module(evaluator)) is not None:
        cloudpickle.register_pickle_by_value(module)
        try:
            return ray.put(content)
        except Exception:  # it names something that cannot be sent, but that workers may import
            pass
        finally:
            cloudpickle.unregister_pickle_by_value(module)
    try:
        return ray.put(content)
    except Exception as error:
        if (path := _culprit(evaluator, ())) is None:
            raise
        *_, part = path
        within = " of ".join(f"{name!r}" for name, _ in reversed(path))
        raise ConfigurationError(
            f"evaluator: it cannot be sent to the workers, because {within or 'it'} cannot be pickled: it is a "
            f"{type(part[1]).__name__} ({message_in_one_line(_error(part[1]) or error, 200)}). Make it inside the function, or "
            "in a module that the function imports."
        ) from error


def _own_module(evaluator: Evaluator) -> ModuleType | None:
    """Return the module of the evaluator's function, if it is neither installed nor the script that runs."""
    function = getattr(evaluator, "function", None)
    function = function.func if isinstance(function, functools.partial) else function
    name = getattr(function, "__module__", None) or type(function).__module__
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or file is None or name == "__main__" or name.partition(".")[0] == "archsearch":
        return None
    installed = [sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")]
    return None if any(Path(file).is_relative_to(folder) for folder in installed) else module


def _culprit(value: Any, path: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...] | None:
    """Return the way to the innermost part that cannot be pickled: names and values; None if the value can be."""
    if _error(value) is None:
        return None
    if len(path) < _DEEPEST:
        for name, part in _parts(value):
            if (found := _culprit(part, (*path, (name, part)))) is not None:
                return found
    return path or (("evaluator", value),)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, FunctionType):
        used = inspect.getclosurevars(value)
        yield from {**used.globals, **used.nonlocals}.items()
    elif isinstance(value, dict):
        yield from ((str(name), part) for name, part in value.items())
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from vars(value).items()


def _error(value: Any) -> Exception | None:
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return error
    return None
