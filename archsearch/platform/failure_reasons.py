"""Reasons of failed evaluations, counted by kind."""

from __future__ import annotations

import re

from archsearch.credentials import hidden

_NO_SCORE = "no score (not a finite number)"


class FailureReasons:
    """Counts reasons; those that differ only in numbers, such as sizes or addresses, count as one.

    Example:
        >>> reasons = FailureReasons()
        >>> for error in ("out of memory: 12 bytes", None, "out of memory: 4096 bytes"):
        ...     reasons.add(error)
        >>> reasons.counted()
        [('out of memory: 12 bytes', 2), ('no score (not a finite number)', 1)]
    """

    def __init__(self) -> None:
        self._groups: dict[str, tuple[str, int]] = {}

    def add(self, error: str | None) -> None:
        """Count the error of one evaluation; None stands for a score that is not a finite number."""
        reason = hidden(next(iter((error or "").strip().splitlines()), "")) or _NO_SCORE
        kind = re.sub(r"\d+", "#", reason)
        first, count = self._groups.get(kind, (reason, 0))
        self._groups[kind] = (first, count + 1)

    def counted(self) -> list[tuple[str, int]]:
        """Return the first reason of each kind with the count of its kind, most frequent first."""
        return sorted(self._groups.copy().values(), key=lambda group: -group[1])
