"""Columns of labels in a table as classes, sets of labels or numbers: found from the values, or as the user says."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archsearch.errors import ConfigurationError, DatasetError, did_you_mean, unknown_name
from archsearch.evaluators.dataset_names import SEPARATORS
from archsearch.evaluators.score_names import CLASSIFICATION, MULTILABEL, REGRESSION, TASKS

_SURE = ("|", ";")  # signs that classes seldom have in their names
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_NO_NUMBER = frozenset(("na", "n/a", "nan", "none", "null", "-", "?"))
"""Texts that stand for a missing value among numbers; among classes they are names."""
_MANY = 20
"""Distinct whole numbers beyond which the user is told that they are taken as classes."""

Columns = Mapping[str, Sequence[Any]]
"""Values by the names of the columns: strings, numbers, lists of these, or None where there is none."""
Place = Callable[[int], str]
"""Names a row in messages."""


@dataclass(frozen=True)
class LabelRules:
    """What the user says about the labels.

    Args:
        task: One of `score_names.TASKS`; None finds it from the labels.
        separator: What separates the labels in a cell; None finds it.

    Raises:
        ConfigurationError: There is no such task.
    """

    task: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in TASKS:
            raise ConfigurationError(unknown_name("task", self.task, TASKS))


@dataclass(frozen=True)
class LabelReader:
    """How the labels of a dataset are read: made from those of the training images, for all parts.

    Args:
        task: The task.
        classes: Name of each class, label or target.
        separator: What separates the labels in a cell; empty where they are columns or lists.
        remark: How the task was found, a sentence for the user; empty if the user said it.
    """

    task: str
    classes: tuple[str, ...]
    separator: str = ""
    remark: str = ""

    @classmethod
    def of(cls, columns: Columns, rules: LabelRules, place: Place, source: str) -> LabelReader:
        """Return the reader for labels like these.

        Args:
            columns: The columns of labels of the training images.
            rules: What the user says.
            place: Names a row, for messages.
            source: Name of the file, for messages.

        Raises:
            DatasetError: The task cannot be found, or does not suit the labels.
        """
        kinds = {name: _kind(values) for name, values in columns.items()}
        task = rules.task or _found(columns, kinds, rules.separator, source, place)
        _check_suits(task, kinds, rules, columns, source)
        separator = ""
        if task == MULTILABEL and list(kinds.values()) == ["text"]:
            separator = _separator(next(iter(columns.values())), rules.separator, source)
        classes = tuple(columns)
        if task == CLASSIFICATION or (task == MULTILABEL and len(columns) == 1 and kinds[classes[0]] != "flags"):
            classes = _classes(task, next(iter(columns.values())), separator)
        remark = "" if rules.task else _remark(task, columns, classes, separator)
        return cls(task, classes, separator, remark)

    def read(self, columns: Columns, place: Place, source: str) -> Tensor:
        """Return the labels of images as in `ImageDataset`.

        Args:
            columns: The columns of labels of these images.
            place: Names a row, for messages.
            source: Name of the file, for messages.

        Raises:
            DatasetError: A value is missing, no number, or a class or label that no training image has.
        """
        if self.task == REGRESSION:
            return torch.from_numpy(np.stack([_numbers(name, values, place, source) for name, values in columns.items()], axis=1))
        [name, *others], values = columns, next(iter(columns.values()))
        if self.task == MULTILABEL and tuple(columns) == self.classes and (others or _kind(values) == "flags"):
            flags = [_flags(each, column, place, source) for each, column in columns.items()]
            return torch.from_numpy(np.stack(flags, axis=1))
        if self.task == MULTILABEL:
            return self._sets(name, values, place, source)
        if missing := [row for row, value in enumerate(values) if _is_missing(value)]:
            raise DatasetError(
                f"{source}: expected a label in each row; got none in {_places(missing, place)}. Remove these rows."
            )
        numbers = {text: number for number, text in enumerate(self.classes)}
        found = [numbers.get(_text(value), -1) for value in values]
        self._check_known(
            [row for row, number in enumerate(found) if number < 0], [_text(each) for each in values], place, source
        )
        return torch.tensor(found, dtype=torch.int64)

    def _sets(self, name: str, values: Sequence[Any], place: Place, source: str) -> Tensor:
        numbers = {text: number for number, text in enumerate(self.classes)}
        found = torch.zeros(len(values), len(self.classes), dtype=torch.bool)
        for row, value in enumerate(values):
            for text in _labels(value, self.separator):
                if text not in numbers:
                    self._check_known([row], {row: text}, place, source)
                found[row, numbers[text]] = True
        return found

    def _check_known(self, rows: Sequence[int], texts: Sequence[str] | Mapping[int, str], place: Place, source: str) -> None:
        if rows:
            text = texts[rows[0]]
            raise DatasetError(
                f"labels of {source}: expected those of the training images, such as {self.classes[0]}; got {text} in "
                f"{place(rows[0])}.{did_you_mean(text, self.classes)} Correct or remove such rows."
            )


def _kind(values: Sequence[Any]) -> str:
    """Return `lists`, `flags` (0 and 1), `whole`, `numbers` or `text`; missing values do not count."""
    present = [value for value in values if not _is_missing(value)]
    if any(isinstance(value, list | tuple | np.ndarray) for value in present):
        return "lists"
    texts = {_text(value) for value in present}
    if texts and all(text.lower() in (*_YES, *_NO) for text in texts):
        return "flags"
    if texts and all(map(_WHOLE.fullmatch, texts)):
        return "whole"
    numbers = [_number(text) for text in texts]
    decimal = any(_is_finite(text) and not _WHOLE.fullmatch(text) for text in texts)
    return "numbers" if decimal and None not in numbers else "text"


def _found(columns: Columns, kinds: Mapping[str, str], separator: str | None, source: str, place: Place) -> str:
    """Return the task that labels like these are for."""
    if len(columns) > 1:
        if set(kinds.values()) == {"flags"}:
            return MULTILABEL
        if set(kinds.values()) <= {"flags", "whole", "numbers"}:
            return REGRESSION
        name = next(name for name, kind in kinds.items() if kind in ("text", "lists"))
        raise DatasetError(
            f"{source}: expected several columns of numbers, or of 0 and 1 for labels; got other values in {name!r}, such as "
            f"{_example(columns[name])!r}. Give one column for classes."
        )
    [(name, values)] = columns.items()
    kind = kinds[name]
    if kind == "numbers" or (kind == "flags" and any(isinstance(value, float) for value in values)):
        return REGRESSION
    if kind == "lists" or separator is not None:
        return MULTILABEL
    if kind == "text":
        _check_unmixed(name, values, source, place)
        texts = [_text(value) for value in values if not _is_missing(value)]
        if texts and (all(map(_is_bracketed, texts)) or any(sign in text for text in texts for sign in _SURE)):
            return MULTILABEL
    return CLASSIFICATION


def _check_unmixed(name: str, values: Sequence[Any], source: str, place: Place) -> None:
    """Raise DatasetError if most values are numbers with decimals, but some are none."""
    texts = [(row, _text(value)) for row, value in enumerate(values) if not _is_missing(value)]
    odd = [row for row, text in texts if _number(text) is None]
    decimal = [text for _, text in texts if _is_finite(text) and not _WHOLE.fullmatch(text)]
    if odd and decimal and 2 * len(odd) < len(texts):
        raise DatasetError(
            f"{source}: expected numbers or classes in {name!r}; got both: {dict(texts)[odd[0]]!r} in {place(odd[0])} beside "
            f"numbers such as {decimal[0]}. Correct or remove such rows, or give task=classification."
        )


def _check_suits(task: str, kinds: Mapping[str, str], rules: LabelRules, columns: Columns, source: str) -> None:
    """Raise DatasetError if the labels cannot be those of the task."""
    name, kind = next(iter(kinds.items()))
    got = ""
    if task == CLASSIFICATION and len(kinds) > 1:
        expected, got = "one column of classes", f"{len(kinds)} columns: {', '.join(kinds)}"
    elif task == CLASSIFICATION and kind in ("lists", "numbers"):
        words = "lists" if kind == "lists" else "numbers with decimals"
        expected, got = "a class in each row", f"{words}, such as {_example(columns[name])!r}, in {name!r}"
    elif task == REGRESSION and (odd := next((each for each in kinds if kinds[each] in ("text", "lists")), None)):
        strange = next((value for value in columns[odd] if not _is_missing(value) and _number(_text(value)) is None), "nothing")
        expected, got = "numbers", f"{strange!r} in {odd!r}"
    elif task == MULTILABEL and len(kinds) > 1 and (odd := next((each for each in kinds if kinds[each] != "flags"), None)):
        strange = next((each for each in columns[odd] if _text(each).lower() not in (*_YES, *_NO)), None)
        expected, got = "columns of 0 and 1, one a label", f"{strange!r} in {odd!r}"
    elif task == MULTILABEL and len(kinds) == 1 and kind == "numbers":
        expected, got = "lists of labels", f"numbers, such as {_example(columns[name])!r}, in {name!r}"
    if got:
        remedy = "Give another task or column, or leave the task out and have it found."
        raise DatasetError(f"{source}: task={task} needs {expected}; got {got}. {remedy}")
    if rules.separator is not None and task != MULTILABEL:
        raise DatasetError(f"{source}: separator: only task=multilabel has one; got task={task}. Leave it out.")


def _separator(values: Sequence[Any], given: str | None, source: str) -> str:
    """Return what separates the labels in a cell: what the user says, else the first of the usual signs that occurs."""
    texts = [str(value) for value in values if not _is_missing(value)]
    if texts and all(_is_bracketed(text) for text in texts):
        return ","
    seen = [sign for sign in SEPARATORS.values() if any(sign in text for text in texts)]
    if given is not None and not any(given in text for text in texts):
        others = f"They have {', '.join(map(repr, seen))}. " if seen else ""
        raise DatasetError(
            f"{source}: separator: expected what separates the labels in a cell, such as {_example(values)!r}; {given!r} is in "
            f"none of them. {others}Name it as separator=SIGN, or as one of {', '.join(SEPARATORS)}."
        )
    if given is None and not seen:
        raise DatasetError(
            f"{source}: task=multilabel needs cells with several labels, such as 'cat|dog', or several columns of 0 and 1; each "
            f"cell has one text without a separator, such as {_example(values)!r}. Name another one as separator=SIGN, or give "
            "task=classification."
        )
    return given if given is not None else seen[0]


def _is_bracketed(text: str) -> bool:
    return text.strip().startswith("[") and text.strip().endswith("]")


def _labels(value: Any, separator: str) -> list[str]:
    """Return the labels in a cell, or of a list; `['cat', 'dog']` as pandas writes it is read too."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_text(each) for each in value if not _is_missing(each)]
    if _is_missing(value):
        return []
    text = _text(value)
    if _is_bracketed(text):
        text, separator = text.strip()[1:-1], ","
    parts = text.split(separator) if separator else [text]
    return [found for part in parts if (found := part.strip().strip("'\"").strip())]


def _classes(task: str, values: Sequence[Any], separator: str) -> tuple[str, ...]:
    """Return the distinct classes or labels, sorted: numbers by size, texts by name."""
    if task == MULTILABEL:
        texts = {text for value in values for text in _labels(value, separator)}
        numeric = all(map(_WHOLE.fullmatch, texts))
    else:
        texts = {_text(value) for value in values if not _is_missing(value)}
        numeric = all(type(value) is int for value in values)
    return tuple(sorted(texts, key=(lambda text: (int(text), text)) if numeric else None))


def _remark(task: str, columns: Columns, classes: Sequence[str], separator: str) -> str:
    """Return how the task was found, and how to say another one."""
    names = ", ".join(columns)
    if task == REGRESSION:
        return f"Task: regression, found from the numbers of {names}; task=classification would take each number as a class."
    if task == MULTILABEL:
        how = f"separated by {separator!r}" if separator else ("columns of 0 and 1" if len(columns) > 1 else "lists")
        return f"Task: multilabel, found from the labels of {names} ({how}); task=classification would take each text as a class."
    if len(classes) > _MANY and all(map(_WHOLE.fullmatch, classes)):
        return (
            f"Task: classification, with each of the {len(classes)} whole numbers of {names} as a class; task=regression would "
            "predict them as numbers."
        )
    return ""


def _numbers(name: str, values: Sequence[Any], place: Place, source: str) -> NDArray[np.float64]:
    missing = [row for row, value in enumerate(values) if _is_missing(value)]
    if missing:
        raise DatasetError(
            f"{source}: expected a number in each row of {name!r}; got none in {_places(missing, place)}. Remove these rows."
        )
    found = [_number(_text(value)) for value in values]
    odd = [row for row, number in enumerate(found) if number is None or not math.isfinite(number)]
    if odd:
        raise DatasetError(
            f"{source}: expected finite numbers in {name!r}; got {_text(values[odd[0]])!r} in {_places(odd, place)}. Correct or "
            "remove these rows."
        )
    return np.array(found, dtype=np.float64)


def _flags(name: str, values: Sequence[Any], place: Place, source: str) -> NDArray[np.bool_]:
    texts = [_text(value).lower() for value in values]
    odd = [row for row, text in enumerate(texts) if text not in (*_YES, *_NO)]
    if odd:
        raise DatasetError(f"{source}: expected 0 or 1 in {name!r}; got {values[odd[0]]!r} in {_places(odd, place)}.")
    return np.array([text in _YES for text in texts], dtype=np.bool_)


def _places(rows: Sequence[int], place: Place) -> str:
    """Return the first five rows in words, and how many there are."""
    words = ", ".join(map(place, rows[:5]))
    return words if len(rows) <= 5 else f"{len(rows):,} rows: {words}, ..."


def _example(values: Sequence[Any]) -> Any:
    return next((value for value in values if not _is_missing(value)), None)


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and not value.strip()


def _text(value: Any) -> str:
    """Return a value as a text, without spaces around it."""
    return str(value).strip()


def _number(text: str) -> float | None:
    """Return a text as a number, NaN for one that stands for a missing number; None if it is none."""
    if text.lower() in _NO_NUMBER:
        return math.nan
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _is_finite(text: str) -> bool:
    number = _number(text)
    return number is not None and math.isfinite(number)


def columns_named(text: str, present: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that `a,b` names; a column whose own name has a comma is taken as it is."""
    return (text,) if text in present else tuple(name.strip() for name in text.split(","))
