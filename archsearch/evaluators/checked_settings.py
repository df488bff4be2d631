"""Checks that dataclasses of settings share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from archsearch.errors import ConfigurationError, did_you_mean, one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)


def check_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Do nothing where each named setting is a number from the first bound to the second; a whole one where that is an int.

    Raises:
        ConfigurationError: One is out of its range, or no such number.
    """
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        whole = isinstance(low, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise ConfigurationError(f"{name}: expected {kind} from {low} to {high}; got {one_line(value)}.")


def check_widths(name: str, widths: object) -> None:
    """Do nothing where widths of layers are a tuple of positive whole numbers.

    Raises:
        ConfigurationError: They are not.
    """
    if not isinstance(widths, tuple) or not all(type(width) is int and width > 0 for width in widths):
        raise ConfigurationError(f"{name}: expected a tuple of positive whole numbers; got {one_line(widths)}.")


def with_changes(settings: Settings, owner: str, changes: Mapping[str, Any]) -> Settings:
    """Return a copy of settings with some of them changed.

    Raises:
        ConfigurationError: A setting is unknown, or out of its range; the message begins with the owner.
    """
    known = [field.name for field in fields(settings)]
    for name in changes:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigurationError(f"{owner}: no setting {name!r}.{hint} Settings: {', '.join(known)}.")
    return replace(settings, **changes)
