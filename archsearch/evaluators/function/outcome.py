"""Score and metrics of a candidate from the return value of its training function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from archsearch.evaluators.plain_number import plain_number, shown


class InvalidOutcome(Exception):
    """What a function returned is no score; the candidate fails with this reason."""


def outcome_of(returned: Any, function: str, score_name: str) -> tuple[float, dict[str, Any]]:
    """Return the score and the other figures that a function returned.

    Args:
        returned: A number, or numbers by name, of which one is called `score_name` or `score`.
        function: Name of the function, for messages.
        score_name: Name of the score.

    Raises:
        InvalidOutcome: It is neither, or the score is no finite number.

    Example:
        >>> outcome_of({"accuracy": 0.9, "size": 3}, "train", "accuracy")
        (0.9, {'size': 3})
    """
    figures: dict[Any, Any] = {}
    value = returned
    if isinstance(returned, Mapping):
        figures = dict(returned)
        name = score_name if score_name in figures else "score"
        if name not in figures:
            expected = f"{score_name!r}" if score_name == "score" else f"{score_name!r} or 'score'"
            raise InvalidOutcome(
                f"{function}: expected a mapping with {expected}; it returned {shown(sorted(map(str, figures)))}"
            )
        value = figures.pop(name)
    score = plain_number(value)
    if score is None:
        hint = " A return statement is missing?" if returned is None else ""
        raise InvalidOutcome(
            f"{function}: expected the score, a number, or numbers by name such as {{{score_name!r}: 0.9}}; it returned "
            f"{shown(returned)}.{hint}"
        )
    if not math.isfinite(score):
        raise InvalidOutcome(f"{function}: expected a finite number as the score; it returned {shown(returned)}")
    return score, figures
