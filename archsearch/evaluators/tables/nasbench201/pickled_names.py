"""The names that a pickle of plain data may use, and the objects that stand for them.

None of them is imported: each is a key of a table, whose entries make plain containers and numbers. `OrderedDict` and
`defaultdict` become dictionaries, scalars of numpy numbers of Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Name(NamedTuple):
    """A function or class that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def is_known(name: Name) -> bool:
    """Return whether a pickle of plain data may use a name."""
    return name in _MAKERS or name in _ARGUMENTS


def make(name: Name, arguments: tuple[Any, ...]) -> Any:
    """Return the object that stands for the result of a call.

    Raises:
        TypeError, ValueError, KeyError: The name cannot be called, or the arguments are not those of plain data.
    """
    return _MAKERS[name](*arguments)


def set_state(value: Any, state: Any) -> None:
    """Give a numpy type its byte order, or a numpy array its content.

    Raises:
        TypeError, ValueError: Value or state is of another kind.
    """
    if isinstance(value, np.dtype):
        version, order, *rest = state
        if order not in ("<", ">", "|", "=") or rest[:3] != [None, None, None]:
            raise ValueError("a numpy type with fields")
        value.__setstate__((version, order, *rest))  # type: ignore[attr-defined]
    elif isinstance(value, np.ndarray):
        version, shape, kind, fortran, content = state
        if not isinstance(kind, np.dtype) or not isinstance(content, bytes):
            raise TypeError("a numpy array of other things than numbers")
        value.__setstate__((version, shape, kind, fortran, content))
    else:
        raise TypeError(f"the state of a {type(value).__name__}")


def _dictionary(*arguments: Any) -> dict[Any, Any]:
    # A default is no part of the data.
    pairs = [argument for argument in arguments if argument is not None and not isinstance(argument, Name)]
    return dict(*pairs)


def _encoded(text: str = "", encoding: str = "utf-8") -> bytes:
    """Return bytes that an old protocol stores as a string."""
    if encoding not in ("latin1", "utf-8"):
        raise ValueError(f"the encoding {encoding}")
    return text.encode(encoding)


def _type(kind: str, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    if not isinstance(kind, str) or not re.fullmatch(r"[biuf]\d\d?", kind):
        raise TypeError(f"numpy's type {kind}")
    # A copy, since its byte order is set afterwards.
    return np.dtype(kind, copy=True)


def _scalar(kind: np.dtype[Any], content: bytes) -> Any:
    [value] = np.frombuffer(content, dtype=kind).tolist()
    return value


def _array(kind: Name, shape: Any, letter: Any) -> np.ndarray[Any, Any]:
    if kind != Name("numpy", "ndarray"):
        raise TypeError(f"an array of class {kind}")
    return np.empty(0, dtype=np.int8)


_BUILTINS = ("builtins", "__builtin__")  # Python 3 and 2
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and after numpy 2

_MAKERS: Mapping[Name, Callable[..., Any]] = {
    Name("collections", "OrderedDict"): _dictionary,
    Name("collections", "defaultdict"): _dictionary,
    Name("_codecs", "encode"): _encoded,
    Name("numpy", "dtype"): _type,
    **{Name(module, "scalar"): _scalar for module in _ARRAYS},
    **{Name(module, "_reconstruct"): _array for module in _ARRAYS},
    **{Name(module, "bytes"): _encoded for module in _BUILTINS},
    **{Name(module, kind.__name__): kind for module in _BUILTINS for kind in (set, frozenset)},
}
_ARGUMENTS = frozenset(
    {Name("numpy", "ndarray"), *(Name(module, kind) for module in _BUILTINS for kind in ("list", "dict", "int", "float"))}
)
