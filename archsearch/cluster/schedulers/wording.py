"""Ranks and numbers of steps in words."""

from __future__ import annotations


def ordinal(rank: int) -> str:
    """Return a rank in words, such as `12th`.

    Example:
        >>> from archsearch.cluster.schedulers.wording import ordinal
        >>> [ordinal(rank) for rank in (1, 2, 3, 11, 23)]
        ['1st', '2nd', '3rd', '11th', '23rd']
    """
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{ending}"


def amount(count: float, plural: str) -> str:
    """Return a number of steps in words, such as `4 epochs` and `1 epoch`.

    Example:
        >>> from archsearch.cluster.schedulers.wording import amount
        >>> amount(1, "epochs"), amount(4, "epochs")
        ('1 epoch', '4 epochs')
    """
    return f"{count:g} {plural.removesuffix('s') if count == 1 else plural}"
