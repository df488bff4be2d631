"""Random search: candidates drawn by the space's sampler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture


class RandomSearch(ArchitectureSearcher):
    """Draws candidates by `space.sample`; the baseline of every comparison.

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

    def learned(self, observations: Sequence[Observation]) -> int:
        return 0  # it only leaves out their structures

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return [self.space.sample(rng) for _ in range(count)]
