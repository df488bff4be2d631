"""Numbers of other libraries, such as numpy scalars and tensors of one element, as Python floats."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np


def plain_number(value: Any) -> float | None:
    """Return a single number as a float, or None for anything else.

    Integers, fractions, decimals, numpy scalars, and arrays and tensors of one element are numbers, NaN and infinity included.
    Truth values, complex numbers, dates, strings, sequences and masked elements are not.

    Example:
        >>> from decimal import Decimal
        >>> plain_number(np.float32(0.5)), plain_number(Decimal("0.5")), plain_number("0.5"), plain_number(True)
        (0.5, 0.5, None, None)
    """
    if type(value) is float:
        return value
    if isinstance(value, np.generic | np.ndarray) and (value.dtype.kind not in "iufO" or isinstance(value, np.ma.MaskedArray)):
        return None
    try:
        if callable(item := getattr(value, "item", None)):
            value = item()  # arrays and tensors of several elements raise
        if isinstance(value, bool) or not hasattr(type(value), "__float__"):
            return None
        return float(value)
    except Exception:  # whatever the library of the value raises, it is no number
        return None


def shown(value: Any) -> str:
    """Return a value for a message: short, on one line, with its type where that is not plain, whatever its `repr` does."""
    text = " ".join(reprlib.repr(value).split())
    kind = type(value).__name__
    return text if value is None or kind in text or isinstance(value, float) else f"{text}, of the type {kind}"
