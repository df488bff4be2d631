"""Settings as dataclasses whose annotations declare the values that are allowed, and the checker that reads them.

A field says what it takes where it stands:

    epochs: Annotated[int, Between(1, 100_000)] = 12
    schedule: Literal["cosine", "exponential"] = "cosine"

`check_settings` compares the values with the annotations; `archsearch.evaluators.settings_table` makes the tables of the
documentation from the same annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from archsearch.declarations import AtLeast, Between, Bound, Declaration, MoreThan, declaration_of, shown
from archsearch.errors import ConfigurationError, did_you_mean, nearest_first, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

__all__ = [
    "AtLeast",
    "Between",
    "Bound",
    "Declaration",
    "MoreThan",
    "check_settings",
    "declarations",
    "with_changes",
]


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
            raise ConfigurationError(f"{name}: expected {declaration.expected}; got {shown(value)}.")


@cache
def declarations(settings: type[DataclassInstance]) -> dict[str, Declaration]:
    """Return what the annotation of each field of a dataclass declares, in the order of the fields.

    Raises:
        TypeError: An annotation is of a kind that cannot be checked.
    """
    hints = get_type_hints(settings, include_extras=True)
    return {field.name: declaration_of(hints[field.name]) for field in fields(settings)}


def with_changes(settings: Settings, owner: str, changes: Mapping[str, Any]) -> Settings:
    """Return a copy of settings with some of them changed.

    Args:
        settings: A dataclass.
        owner: What the settings belong to, the first word of messages.
        changes: New values by the names of the fields; a list stands for a tuple, which files and command lines cannot give.

    Raises:
        ConfigurationError: There is no setting of a name, or a value is not allowed.
    """
    known = [field.name for field in fields(settings)]
    for name in changes:
        if name not in known:
            names = ", ".join(nearest_first(str(name), known))
            raise ConfigurationError(f"{owner}: no setting {name!r}.{did_you_mean(name, known)} Settings: {names}.")
    lists = {name: tuple(value) for name, value in changes.items() if isinstance(value, list)}
    tuples = {name: value for name, value in lists.items() if isinstance(getattr(settings, name), tuple)}
    return replace(settings, **{**changes, **tuples})
