"""Declarations of values in annotations: type, bounds and choices; and the check of arguments against them.

A field or an argument says what it takes where it stands:

    epochs: Annotated[int, Between(1, 100_000)] = 12
    schedule: Literal["cosine", "exponential"] = "cosine"

`archsearch.evaluators.settings` compares the fields of dataclasses with their annotations, `check_arguments` arguments.
"""

from __future__ import annotations

import inspect
import math
import numbers
import reprlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from archsearch.errors import ConfigurationError, one_line, unknown_name


@dataclass(frozen=True, slots=True)
class Between:
    """A closed range of numbers: `low <= value <= high`. For a tuple it holds for each of its numbers.

    Args:
        low: Smallest value.
        high: Largest value.
    """

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A lower bound of finite numbers: `low <= value < infinity`. For a tuple it holds for each of its numbers.

    Args:
        low: Smallest value.
    """

    low: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value < math.inf

    def __str__(self) -> str:
        return f"of at least {self.low}"


@dataclass(frozen=True, slots=True)
class MoreThan:
    """An exclusive lower bound of finite numbers: `low < value < infinity`. For a tuple it holds for each of its numbers.

    Args:
        low: Largest number that is too small.
    """

    low: float

    def __contains__(self, value: float) -> bool:
        return self.low < value < math.inf

    def __str__(self) -> str:
        return f"above {self.low}"


Bound = Between | AtLeast | MoreThan


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the annotation of a field allows.

    Args:
        kind: `bool`, `int`, `float`, `str`, `tuple`, `list` or `dict`.
        item: Type of the entries of a tuple or list; None where any will do.
        bounds: Bounds of the number, or of each number of a tuple.
        choices: The strings that are allowed; empty where any string is.
        optional: Whether None is allowed as well.
    """

    kind: type
    item: type | None = None
    bounds: tuple[Bound, ...] = ()
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def expected(self) -> str:
        """The allowed values in words, such as `a whole number from 1 to 10`."""
        words = _WORDS[self.kind]
        if self.item is not None:
            words += f" of {_PLURALS[self.item]}"
        words = " ".join([words, *map(str, self.bounds)])
        return f"{words}, or None" if self.optional else words

    def allows(self, value: object) -> bool:
        """Return whether a value, other than the choices of strings, is allowed."""
        if value is None:
            return self.optional
        if not _is_a(value, self.kind):
            return False
        entries: Any = value if self.kind in (tuple, list) else [value]
        if self.item is not None and not all(_is_a(entry, self.item) for entry in entries):
            return False
        return all(entry in bound for bound in self.bounds for entry in entries)


_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple: "a tuple",
    list: "a list",
    dict: "a mapping",
    Mapping: "a mapping",
}
_PLURALS = {int: "whole numbers", float: "numbers", str: "strings"}


def declaration_of(hint: Any) -> Declaration:
    """Return what an annotation declares.

    Raises:
        TypeError: It is of a kind that cannot be checked.
    """
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        inner, *extras = arguments
        bounds = tuple(extra for extra in extras if isinstance(extra, Bound))
        return replace(declaration_of(inner), bounds=bounds)
    if get_origin(hint) in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        [inner] = [each for each in arguments if each is not type(None)]
        return replace(declaration_of(inner), optional=True)
    if get_origin(hint) is Literal:
        return Declaration(str, choices=arguments)
    kind = get_origin(hint) or hint
    if kind not in _WORDS:
        raise TypeError(f"no check for the annotation {hint!r}")
    item = arguments[0] if kind in (tuple, list) and arguments and arguments[0] in _PLURALS else None
    return Declaration(kind, item)


def shown(value: object) -> str:
    """Return a value in one line: long strings and containers, which may also be deep, in part."""
    return reprlib.repr(value) if isinstance(value, (str, list, tuple, dict)) else one_line(value)


def _is_a(value: object, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    return not isinstance(value, bool) and isinstance(value, (int, float) if kind is float else kind)


def check_bound(name: str, value: Any, bound: Bound) -> None:
    """Raise ConfigurationError unless a number is within a bound; None, for a default, is."""
    if value is not None and value not in bound:
        raise ConfigurationError(f"{name}: expected a number {bound}; got {shown(value)}.")


def check_arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an argument of a method whose annotation does not allow it.

    Annotations of numbers, strings, bools, choices and mappings are checked, those of other types are not. Numbers of numpy count
    as numbers, and none may be NaN or infinite.

    Args:
        function: The method, such as a constructor.
        args: Positional arguments, `self` first.
        kwargs: Arguments by name.

    Raises:
        ConfigurationError: The message names the argument.
    """
    known = argument_declarations(function)
    given = {**dict(zip(known.positions, args, strict=False)), **kwargs}
    for name, value in given.items():
        if name in known.declared:
            _check_argument(name, value, known.declared[name])


@dataclass(frozen=True)
class ArgumentDeclarations:
    """What a function declares of its arguments.

    Args:
        positions: Names of the positional arguments in their order.
        declared: What is declared of those that can be checked.
    """

    positions: tuple[str, ...]
    declared: Mapping[str, Declaration]


@cache
def argument_declarations(function: Callable[..., Any]) -> ArgumentDeclarations:
    """Return what the annotations of a function declare of its arguments."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    declared = {}
    for parameter in parameters:
        if parameter.kind in (*positional, inspect.Parameter.KEYWORD_ONLY):
            try:
                declared[parameter.name] = declaration_of(_hint(function, parameter))
            except (NameError, TypeError, AttributeError):  # of another kind, or imported for type checkers only
                continue
    return ArgumentDeclarations(tuple(each.name for each in parameters if each.kind in positional), declared)


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """Return the annotation of one argument as an object, whatever the other annotations name."""
    alone = types.SimpleNamespace(__annotations__={"hint": parameter.annotation})
    return get_type_hints(alone, globalns=getattr(function, "__globals__", {}), include_extras=True)["hint"]


def _check_argument(name: str, value: Any, declaration: Declaration) -> None:
    if value is None and declaration.optional:
        return
    if declaration.choices:
        if not isinstance(value, str) or value not in declaration.choices:
            raise ConfigurationError(unknown_name(name, value, declaration.choices))
        return
    number = _as_number(value) if declaration.kind in (int, float) else value
    finite = declaration.kind is not float or not isinstance(number, float) or math.isfinite(number)
    if not declaration.allows(number) or not finite:
        expected = replace(declaration, optional=False).expected if finite else "a finite number"
        raise ConfigurationError(f"{name}: expected {expected}; got {shown(value)}.")


def _as_number(value: Any) -> Any:
    """Return numbers of other libraries as Python's own, and anything else as it is."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value
