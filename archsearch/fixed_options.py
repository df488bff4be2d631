"""Options that are fixed once an object is made: to set one later is an error, where it would silently do nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from archsearch.declarations import check_arguments
from archsearch.errors import did_you_mean

_OWN = __name__.partition(".")[0]


class FixedOptions:
    """Base of classes whose objects keep the options of their constructor.

    The constructor may have used up an option: a batch size that was handed on, a seed that was drawn from. After construction
    it cannot be set, and neither can a public attribute that the object does not have, such as a misspelt one; classes outside
    this package may set further attributes of their own.

    The constructors of this package's classes refuse arguments that their annotations do not allow; see `check_arguments`.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.RandomSearch(spaces.get("nasbench201"), batch_size=8)
        >>> searcher.batch_size = 1
        Traceback (most recent call last):
        AttributeError: batch_size: an option of RandomSearch's constructor, fixed since; make a new one with batch_size=1.
    """

    changeable: ClassVar[frozenset[str]] = frozenset()
    """Options that can be set later nevertheless, because they are only read where they count."""
    constructor_options: ClassVar[frozenset[str]] = frozenset()
    """Names of the options that the constructors of this package's classes take."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" not in vars(cls):
            return
        if _is_own(cls):
            cls.constructor_options = cls.constructor_options | _options(cls.__init__)
        construct = _checked(cls.__init__) if _is_own(cls) else cls.__init__
        cls.__init__ = _marking(construct)  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and vars(self).get("_constructors") == 0:
            kind, known = type(self), self.constructor_options
            if name in known - self.changeable:
                raise AttributeError(
                    f"{name}: an option of {kind.__name__}'s constructor, fixed since; make a new one with {name}={value!r}."
                )
            declared = name in vars(self) or (hasattr(kind, name) and not _is_behaviour(getattr(kind, name)))
            if _is_own(kind) and not declared:
                hint = did_you_mean(name, known) or f" They are {', '.join(sorted(known))}."
                raise AttributeError(f"{name}: {kind.__name__} has no such attribute; options go to its constructor.{hint}")
        super().__setattr__(name, value)


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == _OWN


def _is_behaviour(value: object) -> bool:
    return callable(value) or isinstance(value, property)


def _options(construct: Callable[..., None]) -> frozenset[str]:
    parameters = list(inspect.signature(construct).parameters.values())[1:]
    return frozenset(each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD))


def _checked(construct: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that first compares its arguments with their annotations."""

    @wraps(construct)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        check_arguments(construct, (self, *args), kwargs)
        construct(self, *args, **kwargs)

    return checked


def _marking(construct: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that counts how many constructors of its object are running; the outermost one ends at 0."""

    @wraps(construct)
    def marked(self: Any, *args: Any, **kwargs: Any) -> None:
        vars(self)["_constructors"] = vars(self).get("_constructors", 0) + 1
        construct(self, *args, **kwargs)
        vars(self)["_constructors"] -= 1

    return marked
