"""Options that a user gives by name, such as `--set NAME=VALUE`: which a class takes, and checks of names and values."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from archsearch.errors import ConfigurationError, one_line, unknown_option

# What an option can hold that is written on a command line or in a YAML file.
_PLAIN: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    type(None): "None",
    dict: "a mapping",
    list: "a list",
}


def options_of(kind: Callable[..., Any], without: Iterable[str] = ()) -> dict[str, Any]:
    """Return the keyword arguments of a class, or of a function, by name, with the annotation of each.

    A constructor that passes further arguments on, as `**settings`, has those of the next class of its bases too.

    Args:
        kind: The class or function.
        without: Names to leave out, such as those that the platform sets itself.

    Example:
        >>> from archsearch.evaluators.options import options_of
        >>> class Base:
        ...     def __init__(self, space, seed=0, *, batch_size: int | None = None): ...
        >>> class Derived(Base):
        ...     def __init__(self, space, seed=0, *, population: int = 20, **settings): ...
        >>> list(options_of(Derived, without=("space", "seed")))
        ['population', 'batch_size']
    """
    bases = kind.__mro__ if isinstance(kind, type) else ()
    constructors: list[Any] = [base.__dict__["__init__"] for base in bases if "__init__" in base.__dict__] or [kind]
    found: dict[str, Any] = {}
    for constructor in constructors:
        if constructor is object.__init__:
            break
        hints, passes_on = _hints(constructor), False
        for name, parameter in inspect.signature(constructor).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif name != "self" and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                found.setdefault(name, hints.get(name, Any))
        if not passes_on:
            break
    skipped = set(without)
    return {name: hint for name, hint in found.items() if name not in skipped}


def check_options(
    owner: str,
    kind: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    without: Iterable[str] = ("space",),
    more: Iterable[str] = (),
) -> None:
    """Raise ConfigurationError unless a class takes the options of these names, with values of these types.

    Args:
        owner: What has the options, the first words of the message.
        kind: The class or function that takes them.
        given: The options.
        without: Names that the user cannot give here.
        more: Further names, of arguments that the class passes on to something else and which are checked there.

    Raises:
        ConfigurationError: There is no option of a name (the message lists those that there are, the most similar first), or a
            value is of another type than the annotation of the option.
    """
    known = options_of(kind, without)
    names = [*known, *(name for name in more if name not in known)]
    for name, value in given.items():
        if name not in names:
            raise ConfigurationError(unknown_option(owner, name, names))
        kinds = _plain_kinds(known.get(name, Any))
        if kinds and not any(_is_a(value, each) for each in kinds):
            words = " or ".join(_PLAIN[each] for each in kinds)
            raise ConfigurationError(f"{owner}: {name}: expected {words}; got {one_line(value)}.")


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # an annotation that is only imported for type checkers
        return {}


def _plain_kinds(hint: Any) -> list[Any]:
    """Return the plain types that an annotation allows; an empty list if it allows others, which are not checked here."""
    if get_origin(hint) is Annotated:
        return _plain_kinds(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return []
    if get_origin(hint) in (Union, types.UnionType):
        parts = [_plain_kinds(each) for each in get_args(hint)]
        return [kind for part in parts for kind in part] if all(parts) else []
    return [hint] if isinstance(hint, type) and hint in _PLAIN else []


def _is_a(value: object, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)
