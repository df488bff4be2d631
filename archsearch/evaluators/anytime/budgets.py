"""Distributions of compute budgets B, over which the accuracy of an anytime prediction is averaged.

The expectation of a piecewise linear function needs only two functions of the distribution, both exact here:
`P(B < x)` and `E[B; B < x]`, the mean of B where it is below x and 0 elsewhere.
"""

from __future__ import annotations

import csv
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError, first_line
from archsearch.evaluators.vectors import finite_pair, finite_vector

Vector = NDArray[np.float64]

MACS, MILLISECONDS = "MACs", "ms"
UNITS = (MACS, MILLISECONDS)
"""Units of budgets and costs: multiply-accumulates of one input, or measured milliseconds."""

_HEADINGS = ("budget", "weight")


@dataclass(frozen=True)
class Budgets(ABC):
    """A distribution of compute budgets; made by `uniform`, `log_uniform`, `weighted` or `from_file`.

    Args:
        unit: `MACs` or `ms`.

    Example:
        >>> from archsearch.evaluators import AnytimeCurve, Budgets
        >>> curve = AnytimeCurve([10, 20], [0.6, 0.9], chance=0.1)
        >>> curve.expected(Budgets.weighted([5, 15, 30], [1, 1, 2]))  # (0.1 + 0.6 + 2 * 0.9) / 4
        0.625
    """

    unit: str

    @classmethod
    def uniform(cls, low: float, high: float, unit: str = MACS) -> Budgets:
        """Return the distribution with density `1 / (high - low)` between two budgets.

        Raises:
            ConfigurationError: The bounds are not `0 <= low < high`, or the unit is unknown.
        """
        return _Uniform(check_unit(unit), *_bounds(low, high))

    @classmethod
    def log_uniform(cls, low: float, high: float, unit: str = MACS) -> Budgets:
        """Return the distribution with density `1 / (b ln(high / low))` at b: each power of ten is as likely as the next.

        Raises:
            ConfigurationError: The bounds are not `0 < low < high`, or the unit is unknown.
        """
        if not low > 0.0:
            raise ConfigurationError(f"low: expected a budget above 0, as its logarithm is needed; got {low!r}.")
        return _LogUniform(check_unit(unit), *_bounds(low, high))

    @classmethod
    def weighted(cls, budgets: ArrayLike, weights: ArrayLike | None = None, unit: str = MACS) -> Budgets:
        """Return the distribution of a list: `P(B = b_i) = w_i / (w_1 + ... + w_n)`.

        Args:
            budgets: `[n]`, in any order; equal ones add up.
            weights: `[n]`, such as counts; None gives all the same weight.
            unit: `MACs` or `ms`.

        Raises:
            ConfigurationError: There is no budget, the lengths differ, a number is negative or not finite, no weight is above
                0, or the unit is unknown.
        """
        values = finite_vector("budgets", budgets)
        values, shares = finite_pair("budgets", values, "weights", np.ones(len(values)) if weights is None else weights)
        for argument, numbers in (("budgets", values), ("weights", shares)):
            if (numbers < 0.0).any():
                raise ConfigurationError(f"{argument}: expected numbers from 0; got {numbers.min()}.")
        if not shares.sum() > 0.0:
            raise ConfigurationError(f"weights: expected at least one above 0; got {shares.tolist()}.")
        return _Weighted(check_unit(unit), tuple(values.tolist()), tuple((shares / shares.sum()).tolist()))

    @classmethod
    def from_file(cls, path: str | Path, unit: str = MACS) -> Budgets:
        """Return the distribution of a histogram file; see `weighted`.

        Args:
            path: A `.json` file with a list of pairs `[budget, weight]`, or a `.csv` file with two columns, budget and weight,
                and with or without the heading `budget,weight`.
            unit: `MACs` or `ms`.

        Raises:
            ConfigurationError: The file cannot be read, has another form, or holds no distribution.
        """
        source = Path(path)
        try:
            pairs = [(float(budget), float(weight)) for budget, weight in _rows(source)]
        except OSError as error:
            raise ConfigurationError(f"path: cannot read {path} ({error}); give a histogram of budgets.") from error
        except (ValueError, TypeError) as error:
            reason = first_line(error)
            raise ConfigurationError(f"path: expected pairs of budget and weight in {path} ({reason}).") from error
        try:
            return cls.weighted([budget for budget, _ in pairs], [weight for _, weight in pairs], unit)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error}") from error

    @abstractmethod
    def below(self, budgets: ArrayLike) -> Vector:
        """Return `P(B < b)` for each of `budgets`, `[n]`; infinity is allowed."""

    @abstractmethod
    def partial_mean(self, budgets: ArrayLike) -> Vector:
        """Return `E[B; B < b]` for each of `budgets`, `[n]`, in the unit; at infinity it is the mean budget."""


@dataclass(frozen=True)
class _Uniform(Budgets):
    low: float
    high: float

    def below(self, budgets: ArrayLike) -> Vector:
        return (_clipped(budgets, self.low, self.high) - self.low) / (self.high - self.low)

    def partial_mean(self, budgets: ArrayLike) -> Vector:
        # (b^2 - low^2) / (2 (high - low)), without subtracting squares of large numbers.
        return self.below(budgets) * (_clipped(budgets, self.low, self.high) + self.low) / 2.0


@dataclass(frozen=True)
class _LogUniform(Budgets):
    low: float
    high: float

    def below(self, budgets: ArrayLike) -> Vector:
        below: Vector = np.log(_clipped(budgets, self.low, self.high) / self.low) / math.log(self.high / self.low)
        return below

    def partial_mean(self, budgets: ArrayLike) -> Vector:
        return (_clipped(budgets, self.low, self.high) - self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class _Weighted(Budgets):
    budgets: tuple[float, ...]
    shares: tuple[float, ...]

    def below(self, budgets: ArrayLike) -> Vector:
        below: Vector = self._smaller(budgets) @ np.array(self.shares)
        return below

    def partial_mean(self, budgets: ArrayLike) -> Vector:
        mean: Vector = self._smaller(budgets) @ (np.array(self.budgets) * np.array(self.shares))
        return mean

    def _smaller(self, budgets: ArrayLike) -> Vector:
        """Return whether each listed budget is below each given one, `[given, listed]`, 1 or 0."""
        given = np.asarray(budgets, dtype=np.float64)
        return (np.array(self.budgets) < given[:, None]).astype(np.float64)


def check_unit(unit: str) -> str:
    """Return the unit.

    Raises:
        ConfigurationError: It is not one of `UNITS`.
    """
    if unit not in UNITS:
        raise ConfigurationError(f"unit: expected {' or '.join(UNITS)}; got {unit!r}.")
    return unit


def _bounds(low: float, high: float) -> tuple[float, float]:
    if not 0.0 <= low < high < math.inf:
        raise ConfigurationError(f"low and high: expected finite budgets with 0 <= low < high; got {low!r} and {high!r}.")
    return float(low), float(high)


def _clipped(budgets: ArrayLike, low: float, high: float) -> Vector:
    return np.clip(np.asarray(budgets, dtype=np.float64), low, high)


def _rows(path: Path) -> list[list[float | str]]:
    """Return the pairs that a file lists, still unchecked."""
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        if not isinstance(content, list) or not all(isinstance(row, list) for row in content):
            raise ValueError("a JSON file holds a list [[budget, weight], ...]")
        return content
    if path.suffix != ".csv":
        raise ValueError(f"the name ends in .json or .csv, not {path.suffix!r}")
    with path.open(newline="") as lines:
        rows: list[list[float | str]] = [list(row) for row in csv.reader(lines) if row]
    return rows[1:] if rows and tuple(str(cell).strip().lower() for cell in rows[0]) == _HEADINGS else rows
