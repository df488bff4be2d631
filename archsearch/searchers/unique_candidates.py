"""Drawing candidates that are new and keep the constraints, within bounded patience."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from archsearch.searchers.goals import Goals
from archsearch.spaces import Architecture, SearchSpace

logger = logging.getLogger(__name__)

# When the method has run dry, so many uniform draws are tried.
_LAST_RESORT = 20_000


class Patience(NamedTuple):
    """How many proposals in a row that cannot be used are taken as a sign that a method has run dry.

    Args:
        duplicates: Proposals of structures that were handed out before.
        infeasible: Proposals that miss the constraints.
    """

    duplicates: int = 200
    infeasible: int = 2_000


class UniqueCandidates:
    """Hands out each canonical structure once.

    Args:
        space: Space of the candidates.
        patience: With the method; uniform draws follow.
    """

    keys: set[str]
    """Structures that were handed out."""

    def __init__(self, space: SearchSpace, patience: Patience) -> None:
        self.space, self.patience = space, patience
        self.keys = set()
        self._excess: dict[str, float] = {}

    def draw(
        self,
        size: int,
        rng: np.random.Generator,
        goals: Goals,
        propose: Callable[[int, np.random.Generator], list[Architecture]],
        reject: Callable[[Architecture, float], None],
    ) -> list[Architecture]:
        """Return up to `size` candidates; fewer when draws in a row gave nothing new that keeps the constraints.

        Args:
            size: How many are wanted.
            rng: Source of randomness.
            goals: Holds the constraints.
            propose: The method: returns up to so many candidates.
            reject: Told of each proposal that misses the constraints, and by how much.
        """
        candidates: list[Architecture] = []
        duplicates = infeasible = 0
        while len(candidates) < size and duplicates + infeasible < _LAST_RESORT:
            wanted = size - len(candidates)
            method_has_more = duplicates < self.patience.duplicates and infeasible < self.patience.infeasible
            drawn = propose(wanted, rng) if method_has_more else [self.space.sample(rng) for _ in range(wanted)]
            duplicates += not drawn
            for architecture in drawn[:wanted]:
                key = self.space.key(architecture)
                if key in self.keys:
                    duplicates += 1
                elif (excess := self._excess_of(architecture, goals)) > 0.0:
                    infeasible += 1
                    reject(architecture, excess)
                else:
                    self.keys.add(key)
                    candidates.append(architecture)
                    duplicates = infeasible = 0
        if infeasible and len(candidates) < size:
            logger.warning(
                "constraints: %s draws in a row gave no new candidate that keeps %s; the search ends with %s candidates",
                f"{duplicates + infeasible:,}",
                " and ".join(map(str, goals.constraints)),
                f"{len(self.keys):,}",
            )
        return candidates

    def fresh(self, goals: Goals, rng: np.random.Generator) -> Iterator[Architecture]:
        """Yield random candidates that were not handed out and keep the constraints, each once, without handing them out.

        It ends when so many draws in a row gave none.
        """
        seen: set[str] = set()
        misses = 0
        while misses < _LAST_RESORT:
            architecture = self.space.sample(rng)
            key = self.space.key(architecture)
            if key in self.keys or key in seen or self._excess_of(architecture, goals) > 0.0:
                misses += 1
                continue
            seen.add(key)
            misses = 0
            yield architecture

    def _excess_of(self, architecture: Architecture, goals: Goals) -> float:
        """Return by how much an architecture misses the constraints; costs are counted once for each text that does.

        Texts of one key may differ in cost, where a network holds operators that do not reach its output.
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
