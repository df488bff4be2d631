"""Numbers as people write them in tables: decimal commas, thousands separators, percent signs, marks of missing values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import TableError
from archsearch.evaluators.tables.columns import is_accuracy

_MISSING = frozenset(
    [
        *[
            "",
            "-",
            "--",
            "---",
            "\u2013",
            "\u2014",
            ".",
            "?",
            "na",
            "n/a",
            "n.a.",
            "<na>",
            "nan",
            "-nan",
            "none",
            "null",
            "nil",
            "missing",
        ],
        *["#n/a", "#na", "#value!", "#div/0!", "#num!", "#ref!", "#name?", "#null!"],  # errors of spreadsheets
    ]
)
_SPACES = " \u00a0\u2009\u202f'\u2019"  # thousands separators beside comma and point
_PERCENT = "% \u00a0\u202f"
_NUMBERISH = re.compile(rf"[+-]?[\d.,{_SPACES}]*\d[.,]?(e[+-]?\d+)?", re.IGNORECASE)
_DECIMALS = {",": ".", ".": ","}  # decimal separator -> the other one


@dataclass(frozen=True)
class WrittenColumn:
    """A column of strings as numbers.

    Args:
        values: The numbers, `[rows]`, NaN where there is none; int64 if all are whole and none is missing.
        percent: Whether the numbers had percent signs; they are fractions now.
        decimal: The decimal separator, if one had to be guessed.
    """

    values: NDArray[np.float64] | NDArray[np.int64]
    percent: bool = False
    decimal: str | None = None


def read_numbers(
    columns: Mapping[str, Sequence[str | None]],
    *,
    needed: Collection[str] = (),
    place: Callable[[int], str] = "row {}".format,
    decimal: str | None = None,
    semicolons: bool = False,
    missing: Collection[str] = (),
) -> dict[str, WrittenColumn]:
    """Return the columns of numbers by name; those of other texts are left out.

    A column is one of numbers if at least half of its cells that are not missing are. A comma or point is a decimal separator or
    separates thousands; each column decides by all its cells, and where it cannot, by the other columns. Accuracies have no
    thousands.

    Args:
        columns: Cells by name; None is a missing one.
        needed: Columns that must be numbers, whatever they hold.
        place: Names a row in messages, given its index.
        decimal: The decimal separator of all columns; None finds it.
        semicolons: Whether semicolons separate the columns, as where commas are decimal.
        missing: Further texts that mean that there is no value, such as `failed`.

    Raises:
        TableError: A cell in a column of numbers is none, some but not all have percent signs, or separators contradict.
    """
    none = _MISSING | {text.strip().lower() for text in missing}
    cells = {name: [_cell(text, none) for text in texts] for name, texts in columns.items()}
    numeric = {name: column for name, column in cells.items() if name in needed or _is_numeric(column)}
    signs = {name: decimal or _decimal(name, column, place) for name, column in numeric.items()}
    others = {sign for sign in signs.values() if sign in _DECIMALS}
    found = {}
    for name, column in numeric.items():
        sign = signs[name]
        if sign == "either":  # each comma or point could separate thousands
            commas = any("," in cell for cell in column if cell)
            if is_accuracy(name):  # no thousands
                sign = "," if commas else "."
            elif len(others) == 1:
                [sign] = others
            else:
                sign = "," if semicolons and commas else "."
        found[name] = _parsed(name, column, sign, place)
    return found


def _cell(text: str | None, missing: Collection[str]) -> str | None:
    """Return a cell without spaces around it and marks of spreadsheets; None if it has no value."""
    if text is None:
        return None
    text = text.strip().strip("\u00a0\ufeff").strip()
    if match := re.fullmatch(r'=?"(.*)"', text):  # Excel's way to keep a text
        text = match[1]
    text = text.replace("\u2212", "-")
    return None if text.lower() in missing else text


def _is_numeric(column: Sequence[str | None]) -> bool:
    present = [cell for cell in column if cell is not None]
    numbers = sum(_is_number(cell) for cell in present)
    return not present or (2 * numbers >= len(present) and numbers > 0)


def _is_number(cell: str) -> bool:
    body = cell.rstrip(_PERCENT)
    return _plain(body) is not None or bool(_NUMBERISH.fullmatch(body))


def _plain(body: str) -> float | None:
    try:
        return None if "_" in body else float(body)
    except ValueError:
        return None


def _decimal(name: str, column: Sequence[str | None], place: Callable[[int], str]) -> str:
    """Return the decimal separator of a column, `either` if all could separate thousands, or an empty string without any."""
    first: dict[str, tuple[int, str]] = {}
    either = False
    for row, cell in enumerate(column):
        if cell is None or not ("," in cell or "." in cell) or not _NUMBERISH.fullmatch(body := cell.rstrip(_PERCENT)):
            continue
        sign = _sign(body)
        either = either or sign is None
        if sign is not None:
            first.setdefault(sign, (row, cell))
    if len(first) == 2:
        (one, this), (other, that) = first["."], first[","]
        raise TableError(
            f"table: {place(one)}, column {name!r} has a decimal point ({this}), but {place(other)} a decimal comma ({that}); "
            "write both in one way, or name the separator with --decimal."
        )
    return next(iter(first), "either" if either else "")


def _sign(body: str) -> str | None:
    """Return the decimal separator of a number; None if its comma or point may separate thousands, or it has none."""
    body = re.split("e", body.lstrip("+-"), flags=re.IGNORECASE)[0]
    commas, points = body.count(","), body.count(".")
    if commas and points:
        return max(",.", key=body.rfind)
    sign = "," if commas else "."
    if commas + points > 1:
        return _DECIMALS[sign]  # several: thousands
    return None if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", body) else sign


def _parsed(name: str, column: Sequence[str | None], sign: str, place: Callable[[int], str]) -> WrittenColumn:
    values = np.full(len(column), math.nan)
    signed: dict[bool, int] = {}  # with and without a percent sign -> the first row
    whole = True
    decimal = sign if sign in _DECIMALS else "."
    for row, cell in enumerate(column):
        if cell is None:
            whole = False
            continue
        body = cell.rstrip(_PERCENT)
        value = _value(body, decimal)
        if value is None:
            raise TableError(
                f"table: {place(row)}, column {name!r}: expected a number; got {cell!r}. Correct it, or name it as a mark of a "
                "missing value with --missing."
            )
        signed.setdefault("%" in cell, row)
        whole = whole and decimal not in body and body[-1].isdigit() and "e" not in body.lower() and abs(value) < 2**53
        values[row] = value
    if len(signed) == 2:
        raise TableError(
            f"table: {place(signed[False])}, column {name!r}: expected a percent sign as in {place(signed[True])}; got "
            f"{column[signed[False]]!r}. Write all values of the column in one way."
        )
    if True in signed:
        return WrittenColumn(values / 100.0, True, decimal)
    integers = whole and len(values) > 0
    return WrittenColumn(values.astype(np.int64) if integers else values, False, decimal if sign in _DECIMALS else None)


def _value(body: str, decimal: str) -> float | None:
    if decimal == "." and (plain := _plain(body)) is not None:
        return plain
    thousands = _DECIMALS[decimal]
    groups = rf"\d{{1,3}}(?:[{re.escape(thousands)}{_SPACES}]\d{{3}})+"
    form = rf"[+-]?(?:{groups}|\d+)?(?:{re.escape(decimal)}\d*)?(?:[eE][+-]?\d+)?"
    if not re.fullmatch(form, body):
        return _plain(body) if not re.search(r"\d", body) else None  # infinity
    return _plain(re.sub(f"[{re.escape(thousands)}{_SPACES}]", "", body).replace(decimal, "."))
