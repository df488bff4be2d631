"""The source of a function, by which its evaluations are kept apart from those of other versions of it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

_PLAIN = (bool, int, float, str, bytes, type(None))


def source_digest(function: Callable[..., Any]) -> str:
    """Return a hash of what a function does: 16 hexadecimal digits.

    It covers the source of the function, of the functions and classes of the same module that these name, and the constants of
    the module and of enclosing functions (numbers, strings, and tuples, lists and dicts of them) that they name. What is
    imported from other modules is not covered, nor what is looked up by name while it runs.

    Example:
        >>> source_digest(source_digest) == source_digest(source_digest)
        True
    """
    parts = sorted({f"{name}\n{text}" for name, text in _parts(function, set())})
    return hashlib.blake2b("\n\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[tuple[str, str]]:
    """Yield name and text of a function or class, and of what it names in its module."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        yield "partial", repr([_text(each) for each in (*value.args, *sorted(value.keywords.items()))])
        yield from _parts(value.func, seen)
        return
    if isinstance(value, MethodType):
        yield from _parts(value.__func__, seen)
        value = type(value.__self__)
    elif not isinstance(value, FunctionType | type):
        value = type(value)  # an object that can be called
    function = inspect.unwrap(value)
    yield getattr(function, "__qualname__", ""), _source(function)
    for name, found in _named(function):
        if isinstance(found, FunctionType | type) and found.__module__ == getattr(function, "__module__", None):
            yield from _parts(found, seen)
        elif _is_plain(found):
            yield name, repr(found)


def _source(function: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # made by exec or in an interactive shell: its instructions instead
        parts = vars(function) if isinstance(function, type) else {"": function}
        named = {name: value for name, value in parts.items() if isinstance(value, FunctionType) or not name.startswith("__")}
        return repr(sorted((name, text) for name, value in named.items() if (text := _content(value))))


def _content(value: Any) -> str:
    """Return the instructions of a function, or a constant; an empty string for anything else."""
    code = getattr(value, "__code__", None)
    if code is None:
        return repr(value) if _is_plain(value) else ""
    return repr([(each.co_code.hex(), _constants(each), each.co_names) for each in _codes(code)])


def _constants(code: CodeType) -> list[str]:
    return [repr(each) for each in code.co_consts if not isinstance(each, CodeType)]


def _named(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names of its module, and of functions around it, that a function or the methods of a class use."""
    functions = list(vars(function).values()) if isinstance(function, type) else [function]
    for each in functions:
        if not isinstance(each, FunctionType):
            continue
        for name, cell in zip(each.__code__.co_freevars, each.__closure__ or (), strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        for name in sorted({name for code in _codes(each.__code__) for name in code.co_names}):
            if name in each.__globals__:
                yield name, each.__globals__[name]
    if isinstance(function, type):
        yield from ((base.__name__, base) for base in function.__bases__)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(each) for item in value.items() for each in item)
    return all(map(_is_plain, value)) if isinstance(value, tuple | list) else isinstance(value, _PLAIN)


def _text(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2:
        return f"{value[0]}={_text(value[1])}"
    return repr(value) if _is_plain(value) else type(value).__qualname__


def defined_in(function: Callable[..., Any]) -> str:
    """Return the file that defines a function, without its folder; an empty string if it is not known."""
    plain = inspect.unwrap(function.func if isinstance(function, functools.partial) else function)
    code = getattr(getattr(plain, "__func__", plain), "__code__", None)
    path = code.co_filename if code is not None else getattr(sys.modules.get(type(plain).__module__), "__file__", None) or ""
    return path.replace("\\", "/").rpartition("/")[2] if not path.startswith("<") else ""
