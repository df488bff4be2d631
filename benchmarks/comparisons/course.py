"""The course of a search on a benchmark table: what it had found after each evaluation, as rows and tables have it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.comparisons.known_searches import Table
from benchmarks.frame import Row, quartiles

RANKS = (10, 3, 1)


class Course:
    """Takes evaluations in the order in which they are made.

    Args:
        known: The table.
    """

    def __init__(self, known: Table) -> None:
        self._known, self._best_score = known, -math.inf
        self._improvements = list[tuple[int, float]]()
        self._first = dict[int, int]()
        self._seen = list[str]()

    def take(self, text: str) -> None:
        """Add the evaluation of an architecture."""
        self._seen.append(text)
        if (score := self._known.scores[text]) > self._best_score:
            self._best_score = score
            self._improvements.append((len(self._seen), round(self._known.reported[text], 4)))
        for rank in RANKS:
            if self._known.ranks[text] <= rank:
                self._first.setdefault(rank, len(self._seen))

    def figures(self) -> dict[str, Any]:
        """Return the evaluations until each rank, the reported accuracy (%) of the best-scored with the number of evaluations at
        each improvement, and mean accuracy (%) and millions of multiply-accumulates of the three best-scored."""
        top = sorted(self._seen, key=lambda text: -self._known.scores[text])[:3]
        space = self._known.space
        macs = [space.cost(space.parse(text)).macs / 1e6 for text in top]
        return {
            "found": {str(rank): self._first.get(rank) for rank in RANKS},
            "improvements": self._improvements,
            "top3": [float(np.mean([self._known.reported[text] for text in top])), float(np.mean(macs))],
        }


def best_after(row: Row, count: int) -> float:
    """Return the reported accuracy (%) of the best-scored of the first `count` evaluations."""
    return float([accuracy for place, accuracy in row["improvements"] if place <= count][-1])


def columns(counts: Sequence[int]) -> list[str]:
    """Return the headings of `line`."""
    until = [f"until rank {rank}" if rank > 1 else "until the best" for rank in RANKS]
    return ["", "seeds", *until, f"best so far (%) after {', '.join(map(str, counts))}", "top 3: %, M MACs", "CPU s"]


def line(name: str, rows: Sequence[Row], length: int, counts: Sequence[int]) -> list[str]:
    """Return the line of a method: medians with quartiles, and in how many seeds a rank was found.

    Args:
        name: Name of the method.
        rows: One per seed.
        length: Number of evaluations of a search; one that never got to a rank counts as endless.
        counts: Numbers of evaluations at which to show the best so far.
    """
    so_far = ", ".join(f"{np.mean([best_after(row, count) for row in rows]):.3f}" for count in counts)
    top = ", ".join(f"{value:.2f}" for value in np.mean([row["top3"] for row in rows], axis=0))
    ranks = [until(rows, rank, length) for rank in RANKS]
    return [name, str(len(rows)), *ranks, so_far, top, f"{np.median([row['cpu'] for row in rows]):.1f}"]


def until(rows: Sequence[Row], rank: int, length: int) -> str:
    """Return median and quartiles of the evaluations until a rank, and the number of seeds that found it."""
    found = [row["found"][str(rank)] for row in rows]
    hits = sum(count is not None for count in found)
    return f"{quartiles((count or math.inf for count in found), most=length)}; {hits} of {len(found)}"
