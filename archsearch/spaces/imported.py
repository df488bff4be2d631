"""Search spaces of the user's own modules, named `python:MODULE:NAME`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path

from archsearch.errors import ConfigurationError, did_you_mean, message_in_one_line, wrong_kind
from archsearch.spaces.space import SearchSpace

PREFIX = "python:"
_FORMS = {
    "space": "python:MODULE:CLASS, such as python:my_spaces:Chain",
    "evaluator": "python:MODULE:FUNCTION, such as python:my_training:train",
}


def imported_space(reference: str) -> SearchSpace:
    """Return the space of a reference such as `python:my_spaces:Chain`.

    The module is imported from the current folder or from where Python finds modules. The name after the second colon is the
    class of a space, a function without arguments that returns a space, or a space.

    Raises:
        ConfigurationError: The reference has another form, the module cannot be imported, or the name is no space.

    Example:
        >>> imported_space("python:archsearch.spaces.nasbench201:NASBench201")
        NASBench201()
    """
    module_name, attribute = module_of(reference), reference.removeprefix(PREFIX).partition(":")[2]
    module = imported_module(module_name)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        known = [name for name, value in vars(module).items() if _is_own_space(value)]
        hint = did_you_mean(attribute, known) or (f" Its spaces: {', '.join(known)}." if known else " It has no search space.")
        raise ConfigurationError(f"space: the module {module_name} has no {attribute!r}.{hint}") from None
    expected = f"{reference} to be a search space, its class, or a function without arguments that returns one"
    if isinstance(found, SearchSpace):
        found.check_declared()
        return found
    if not callable(found) or (isinstance(found, type) and not issubclass(found, SearchSpace)):
        raise ConfigurationError(f"space: expected {expected}; it is {_kind(found)}.")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ConfigurationError(f"space: {attribute} of {module_name} is not complete, it lacks {missing}. Define them.")
    try:
        space = found()
    except Exception as error:
        if "choose" in inspect.signature(found).parameters:
            raise ConfigurationError(
                f"space: {attribute} of {module_name} builds a module; write space = ModuleSpace({attribute}, example_inputs) "
                f"into the module and name that, {PREFIX}{module_name}:space."
            ) from error
        raise ConfigurationError(
            f"space: {attribute}() failed ({type(error).__name__}: {message_in_one_line(error, 300)}). If the class takes "
            f"arguments, write a space with these arguments into the module and name it instead."
        ) from error
    if not isinstance(space, SearchSpace):
        raise ConfigurationError(f"space: expected {expected}; it returned {_kind(space)}.")
    space.check_declared()
    return space


def module_of(reference: str, argument: str = "space") -> str:
    """Return the module of a reference.

    Args:
        reference: Such as `python:my_spaces:Chain`.
        argument: What it is given as, for error messages: `space`, or `evaluator` for a function that trains a model.

    Raises:
        ConfigurationError: The reference has another form.
    """
    module, colon, attribute = reference.removeprefix(PREFIX).partition(":")
    fits = reference.startswith(PREFIX) and colon and attribute.isidentifier() and not module.endswith(".py")
    if not fits or not all(part.isidentifier() for part in module.split(".")):
        hint = " Write the module as in an import statement, without folder and .py." if ".py" in module or "/" in module else ""
        raise ConfigurationError(f"{argument}: expected {_FORMS[argument]}; got {reference!r}.{hint}")
    return module


def reference_to(space: SearchSpace) -> str | None:
    """Return the reference from which `imported_space` makes an equal space in another process, or None if there is none.

    A space made with arguments has one if a module holds it under a name, such as `space = ModuleSpace(build, ...)` in the module
    of `build`. Classes and spaces of notebooks and of scripts have none.
    """
    kind = type(space)
    home = sys.modules.get(space.home)
    for name, value in vars(home).items() if home is not None and space.home != "__main__" else ():
        if value is space or (type(value) is kind and value.name == space.name and repr(value) == repr(space)):
            return f"{PREFIX}{space.home}:{name}"
    if kind.__module__ == "__main__" or "." in kind.__qualname__ or "<" in kind.__qualname__:
        return None
    reference = f"{PREFIX}{kind.__module__}:{kind.__qualname__}"
    try:
        other = imported_space(reference)
    except ConfigurationError:
        return None
    same = type(other) is kind and vars(other).keys() <= vars(space).keys() and other.choices == space.choices
    return reference if same and repr(other) == repr(space) else None


def imported_module(name: str, argument: str = "space") -> object:
    """Return a module, which is looked for in the current folder, then where Python finds modules.

    Args:
        name: Dotted name of the module.
        argument: What its reference is given as, for error messages.

    Raises:
        ConfigurationError: It is not there or cannot be imported.
    """
    here = os.getcwd()  # noqa: PTH109 - an entry of sys.path is a string
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):
            raise ConfigurationError(f"{argument}: the module {name} needs {error.name!r}, which is not installed.") from error
        near = did_you_mean(name, [path.stem for path in Path(here).glob("*.py")])
        raise ConfigurationError(
            f"{argument}: there is no module {name!r} in {here}, nor where Python finds modules.{near} Change to its folder."
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {message_in_one_line(error, 300)}"
        raise ConfigurationError(
            f"{argument}: the module {name} cannot be imported ({reason}). Try: python -c 'import {name}'"
        ) from error


def _is_own_space(value: object) -> bool:
    return isinstance(value, SearchSpace) or (
        isinstance(value, type) and issubclass(value, SearchSpace) and not inspect.isabstract(value)
    )


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}, which is not derived from SearchSpace"
    return wrong_kind("", "", value).rpartition("got ")[2].rstrip(".")
