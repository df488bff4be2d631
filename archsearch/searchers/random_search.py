"""Random search: candidates drawn by the space's sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.unique_candidates import UniqueCandidates
from archsearch.spaces import Architecture, SearchSpace


class RandomSearch(ArchitectureSearcher):
    """Draws candidates by `space.sample`; the baseline of every comparison.

    Candidate i is the first one of the random numbers of (seed, i) that no earlier candidate is and that satisfies the
    constraints. So one seed gives the same sequence of candidates, whatever the sizes of batches, the number of workers, the
    stops, and the evaluations in the ledger; a search with more candidates continues that of one with fewer.

    Args:
        space: Space to search.
        seed: Seed of all proposals.
        **settings: As for `ArchitectureSearcher`.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.RandomSearch(spaces.get("nasbench201"), seed=0)
        >>> searcher.suggest("t0")["candidates"]
        ['|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|none~2|']
    """

    def __init__(self, space: SearchSpace, seed: int = 0, **settings: Any) -> None:
        super().__init__(space, seed, **settings)
        self._sequence = UniqueCandidates(space, self.patience)

    @property
    def ledger_changes_course(self) -> bool:
        return False

    def draw(self, size: int, rng: np.random.Generator) -> list[Architecture]:
        self._sequence.patience = self.patience
        candidates: list[Architecture] = []
        while len(candidates) < size:
            own = np.random.default_rng([self.seed, len(self._sequence.keys)])
            found = self._sequence.draw(1, own, self.goals, self.propose, self.reject)
            if not found:
                break
            key = self.space.key(found[0])
            if key not in self._unique.keys | self._unique.known:  # proposed before a restart, given as a start, or learned
                self._unique.keys.add(key)
                candidates += found
        return candidates

    learns_from_others = False

    def learned(self, observations: Sequence[Observation]) -> int:
        return 0  # it only leaves out their structures

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return [self.space.sample(rng) for _ in range(count)]
