"""Registry of search spaces by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from archsearch.errors import ConfigurationError, check_kind, unknown_name, wrong_kind
from archsearch.spaces.imported import PREFIX, imported_space
from archsearch.spaces.space import SearchSpace

_BUILT_IN = {
    "anytime": ("archsearch.spaces.anytime", "Anytime"),
    "cells": ("archsearch.spaces.cells", "Cells"),
    "enas": ("archsearch.spaces.enas", "ENAS"),
    "enas12": ("archsearch.spaces.enas", "enas12"),
    "nasbench101": ("archsearch.spaces.nasbench101", "NASBench101"),
    "nasbench201": ("archsearch.spaces.nasbench201", "NASBench201"),
    "nasnet": ("archsearch.spaces.nasnet", "NASNet"),
}
_registered: dict[str, Callable[[], SearchSpace]] = {}


def names() -> list[str]:
    """Return the names that `get` accepts."""
    return sorted({*_BUILT_IN, *_registered})


def is_built_in(name: str) -> bool:
    """Return whether a space of this package has this name; spaces that `register` made known exist in this process only."""
    return name in _BUILT_IN


def get(name: str) -> SearchSpace:
    """Return the search space called `name`, or that of a module, `python:MODULE:CLASS`.

    Raises:
        ConfigurationError: No space has this name, or the module has no such space; see `imported_space`.

    Example:
        >>> from archsearch import spaces
        >>> spaces.get("enas12")
        ENAS(layers=12)
    """
    check_kind("space", name, str, f"one of {', '.join(names())}")
    if name in _registered:
        return _registered[name]()
    if name.startswith(PREFIX):
        return imported_space(name)
    if name not in _BUILT_IN:
        raise ConfigurationError(f"{unknown_name('space', name, names())} A space of your own: {PREFIX}MODULE:CLASS.")
    module, attribute = _BUILT_IN[name]
    space: SearchSpace = getattr(importlib.import_module(module), attribute)()
    return space


def register(name: str, factory: Callable[[], SearchSpace]) -> None:
    """Register a custom search space under a name, so that configurations can use the name.

    Registering a name again replaces the space, so that a notebook cell can be run twice.

    Raises:
        ConfigurationError: A built-in space has this name.
    """
    check_kind("name", name, str, "a string")
    if not callable(factory):
        raise ConfigurationError(
            wrong_kind("factory", "a function without arguments that returns a search space, or the class of one", factory)
        )
    if name in _BUILT_IN:
        raise ConfigurationError(f"name: {name!r} is a built-in space; choose another name.")
    _registered[name] = factory
