"""Random search: candidates drawn uniformly from the space."""

from __future__ import annotations

import numpy as np

from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture


class RandomSearch(ArchitectureSearcher):
    """Draws candidates by `space.sample`; the baseline of every comparison."""

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return [self.space.sample(rng) for _ in range(count)]
