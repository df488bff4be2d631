"""Draws candidates that are new and satisfy the constraints, with a bounded number of tries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from archsearch.searchers.goals import Goals
from archsearch.spaces import Architecture, SearchSpace

logger = logging.getLogger(__name__)

# Total number of tries, by uniform draws once the method gives nothing new.
_LAST_RESORT = 20_000
# A measured latency takes a hundred times as long as other costs: one beyond its limit counts as this number of tries.
_MEASURED = 40


class Patience(NamedTuple):
    """Number of useless proposals in a row after which a method is given up for uniform draws.

    Args:
        duplicates: Number of proposals of structures that were returned before.
        infeasible: Number of proposals that violate the constraints.
    """

    duplicates: int = 200
    infeasible: int = 2_000


class UniqueCandidates:
    """Returns each canonical structure once.

    Args:
        space: Space of the candidates.
        patience: Number of useless proposals before uniform draws replace the method.
    """

    keys: set[str]
    """Keys of the structures that were returned."""
    known: set[str]
    """Keys of structures that are not to be returned because their outcomes are known from elsewhere."""

    def __init__(self, space: SearchSpace, patience: Patience) -> None:
        self.space, self.patience = space, patience
        self.keys, self.known = set(), set()
        self._excess: dict[str, float] = {}

    def is_taken(self, key: str) -> bool:
        """Return whether a structure was returned, or is known."""
        return key in self.keys or key in self.known

    def draw(
        self,
        size: int,
        rng: np.random.Generator,
        goals: Goals,
        propose: Callable[[int, np.random.Generator], list[Architecture]],
        reject: Callable[[Architecture, float], None],
    ) -> list[Architecture]:
        """Return up to `size` candidates, fewer if too many tries in a row gave nothing new and feasible.

        Args:
            size: Number of candidates.
            rng: Random generator.
            goals: Goals with the constraints.
            propose: The method: a function of a number and a generator that returns up to that number of candidates.
            reject: Called with each proposal that violates the constraints, and its excess.
        """
        candidates: list[Architecture] = []
        duplicates = infeasible = draws = 0
        while len(candidates) < size and duplicates + infeasible < _LAST_RESORT:
            wanted = size - len(candidates)
            method_has_more = duplicates < self.patience.duplicates and infeasible < self.patience.infeasible
            drawn = propose(wanted, rng) if method_has_more else [self.space.sample(rng) for _ in range(wanted)]
            duplicates += not drawn
            draws += not drawn
            for architecture in drawn[:wanted]:
                key = self.space.key(architecture)
                draws += 1
                if self.is_taken(key):
                    duplicates += 1
                elif (excess := self._excess_of(architecture, goals)) > 0.0:
                    infeasible += self._tries(architecture, goals)
                    reject(architecture, excess)
                else:
                    self.keys.add(key)
                    candidates.append(architecture)
                    duplicates = infeasible = draws = 0
        if infeasible and len(candidates) < size:
            logger.warning(
                "constraints: %s draws in a row gave no new candidate that satisfies %s; the search ends with %s candidates",
                f"{draws:,}",
                " and ".join(map(str, goals.constraints)),
                f"{len(self.keys):,}",
            )
        return candidates

    def fresh(self, goals: Goals, rng: np.random.Generator) -> Iterator[Architecture]:
        """Yield random feasible candidates that were not returned before, each once, without marking them as returned.

        It ends after 20,000 draws in a row without one.
        """
        seen: set[str] = set()
        misses = 0
        while misses < _LAST_RESORT:
            architecture = self.space.sample(rng)
            key = self.space.key(architecture)
            if self.is_taken(key) or key in seen:
                misses += 1
                continue
            if self._excess_of(architecture, goals) > 0.0:
                misses += self._tries(architecture, goals)
                continue
            seen.add(key)
            misses = 0
            yield architecture

    def _tries(self, architecture: Architecture, goals: Goals) -> int:
        """Return as how many tries an architecture counts that violates the constraints."""
        return _MEASURED if goals.latency is not None and goals.counted_excess(architecture) == 0.0 else 1

    def _excess_of(self, architecture: Architecture, goals: Goals) -> float:
        """Return the excess of an architecture over the constraints, cached by text for infeasible ones.

        Architectures of one key may differ in cost, because of operators that do not reach the output.
        """
        if not goals.constraints:
            return 0.0
        text = str(architecture)
        excess = self._excess.get(text)
        if excess is None:
            excess = goals.excess(architecture)
            if excess > 0.0:
                self._excess[text] = excess
        return excess
