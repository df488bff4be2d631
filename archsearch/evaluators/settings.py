"""Settings as dataclasses whose annotations declare the values that are allowed, and the checker that reads them.

A field says what it takes where it stands:

    epochs: Annotated[int, Between(1, 100_000)] = 12
    schedule: Literal["cosine", "exponential"] = "cosine"

`check_settings` compares the values with the annotations; `archsearch.evaluators.settings_table` makes the tables of the
documentation from the same annotations.
"""

from __future__ import annotations

import math
import reprlib
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from archsearch.errors import ConfigurationError, did_you_mean, nearest_first, one_line, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)


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


_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    tuple: "a tuple",
    list: "a list",
    dict: "a mapping",
}
_PLURALS = {int: "whole numbers", float: "numbers", str: "strings"}


def check_settings(settings: DataclassInstance) -> None:
    """Raise ConfigurationError unless every field holds a value that its annotation allows; call it in `__post_init__`.

    An `int` is allowed where a `float` is declared, but a bool is no number.

    Raises:
        ConfigurationError: A value has another type, is out of its bounds or not among its choices. The message names the field.
    """
    for name, declaration in declarations(type(settings)).items():
        value = getattr(settings, name)
        if declaration.choices and value is not None:
            if value not in declaration.choices:
                raise ConfigurationError(unknown_name(name, value, declaration.choices))
        elif not declaration.allows(value):
            raise ConfigurationError(f"{name}: expected {declaration.expected}; got {_shown(value)}.")


@cache
def declarations(settings: type[DataclassInstance]) -> dict[str, Declaration]:
    """Return what the annotation of each field of a dataclass declares, in the order of the fields.

    Raises:
        TypeError: An annotation is of a kind that cannot be checked.
    """
    hints = get_type_hints(settings, include_extras=True)
    return {field.name: _declaration(hints[field.name]) for field in fields(settings)}


def _declaration(hint: Any) -> Declaration:
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        inner, *extras = arguments
        bounds = tuple(extra for extra in extras if isinstance(extra, Bound))
        return replace(_declaration(inner), bounds=bounds)
    if get_origin(hint) in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        [inner] = [each for each in arguments if each is not type(None)]
        return replace(_declaration(inner), optional=True)
    if get_origin(hint) is Literal:
        return Declaration(str, choices=arguments)
    kind = get_origin(hint) or hint
    if kind not in _WORDS:
        raise TypeError(f"settings: no check for the annotation {hint!r}")
    item = arguments[0] if kind in (tuple, list) and arguments and arguments[0] in _PLURALS else None
    return Declaration(kind, item)


def _shown(value: object) -> str:
    """Return a value in one line: long strings and containers, which may also be deep, in part."""
    return reprlib.repr(value) if isinstance(value, (str, list, tuple, dict)) else one_line(value)


def _is_a(value: object, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    return not isinstance(value, bool) and isinstance(value, (int, float) if kind is float else kind)


def with_changes(settings: Settings, owner: str, changes: Mapping[str, Any]) -> Settings:
    """Return a copy of settings with some of them changed.

    Args:
        settings: A dataclass.
        owner: What the settings belong to, the first word of messages.
        changes: New values by the names of the fields.

    Raises:
        ConfigurationError: There is no setting of a name, or a value is not allowed.
    """
    known = [field.name for field in fields(settings)]
    for name in changes:
        if name not in known:
            names = ", ".join(nearest_first(str(name), known))
            raise ConfigurationError(f"{owner}: no setting {name!r}.{did_you_mean(name, known)} Settings: {names}.")
    return replace(settings, **changes)
