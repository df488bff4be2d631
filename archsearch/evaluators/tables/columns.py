"""Meaning of the columns of benchmark tables by their names: costs, accuracies, percent."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHITECTURE, SECONDS = "architecture", "seconds"
ROUNDING = 0.005
"""How far rounding may lift an accuracy above 1."""

_COSTS = {"params", "parameters", "macs", "flops", "latency", "energy"}
_RESULTS = {"acc", "accuracy", "loss", "error", "score", "seconds"}
_ACCURACIES = {"acc", "accuracy", "valid", "validation", "val", "test", "top1", "top5"}
_NO_ACCURACIES = _COSTS | {
    "loss",
    "error",
    "err",
    "seconds",
    "s",
    "ms",
    "time",
    "epochs",
    "count",
    "correct",
    "rank",
    "std",
    "var",
}


def is_cost(column: str) -> bool:
    """Return whether a column is a cost that is known before an evaluation is paid for, such as `params` or `pixel3_latency_ms`.

    A name is a cost's if one of its words (`macs_cifar100` has two) is params, parameters, macs, flops, latency or energy, and
    none is acc, accuracy, loss, error, score or seconds.
    """
    words = words_of(column)
    return bool(words & _COSTS) and not words & _RESULTS


def is_accuracy(column: str) -> bool:
    """Return whether a column holds accuracies, such as `valid_accuracy`, `cifar10_test` or `test_acc`.

    A name is an accuracy's if one of its words is acc, accuracy, valid, validation, val, test, top1 or top5, and none says
    otherwise: a cost, loss, error, a time, a count, a rank, or a spread (std, var).
    """
    words = words_of(column)
    return bool(words & _ACCURACIES) and not words & _NO_ACCURACIES


def in_percent(column: str, values: NDArray[Any]) -> bool:
    """Return whether a column is taken to hold percent: accuracies by name, all from 0 to 100, and one at least above 1.

    Rounding may lift 1 to 1.005 and 100 to 100.5.
    """
    return is_accuracy(column) and spans_percent(values)


def spans_percent(values: NDArray[Any]) -> bool:
    """Return whether all values that are numbers are percent: from 0 to 100, and one at least above 1, apart from rounding."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return bool(len(finite) and finite.min() >= 0.0 and 1.0 + ROUNDING < finite.max() <= 100.0 * (1.0 + ROUNDING))


def failure_mark(column: str, values: NDArray[Any]) -> float | None:
    """Return the negative number, such as -1, that stands for failed trainings in a column of accuracies, or None.

    It is the only negative value of the column, a whole number, and the others are fractions or percent.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    marks, others = np.unique(finite[finite < 0.0]), finite[finite >= 0.0]
    if not is_accuracy(column) or len(marks) != 1 or not len(others) or others.max() > 100.0 * (1.0 + ROUNDING):
        return None
    return float(marks[0]) if marks[0] == np.round(marks[0]) else None


def words_of(column: str) -> set[str]:
    """Return the words of a column's name in lower case: `{"cifar100", "valid"}` for `cifar100-Valid`."""
    return set(re.split(r"[^a-z0-9]+", column.lower()))
