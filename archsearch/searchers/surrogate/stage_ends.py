"""The number of candidates in a stage of a surrogate, and the ends of the stages of a search."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import takewhile

GROWTH = 0.2
"""Under a scheduler a stage has at least this share of the candidates before it."""


def next_size(before: int, least: int, growth: float) -> int:
    """Return the number of candidates of the stage that follows `before` candidates: `growth` of them, and `least` at least."""
    return max(least, int(growth * before))


def stage_ends(initial: int, least: int, growth: float) -> Iterator[int]:
    """Yield the number of candidates at the end of each stage, without end: `initial` after the first one.

    Args:
        initial: Candidates of the first stage.
        least: Smallest number of candidates of each later one, at least 1.
        growth: Share of the candidates before a stage that it has at least; 0 for stages of `least`.

    Example:
        >>> from itertools import islice
        >>> list(islice(stage_ends(10, least=5, growth=0.2), 6))
        [10, 15, 20, 25, 30, 36]
    """
    end = initial
    while True:
        yield end
        end += next_size(end, least, growth)


def stage_of(places: list[int], initial: int, least: int, growth: float) -> list[int]:
    """Return the number of the stage, from 0, of each candidate, given its place from 0 in the order of proposals."""
    ends = list(takewhile(lambda end: end <= max(places, default=0), stage_ends(initial, least, growth)))
    return [bisect_left(ends, place + 1) for place in places]
