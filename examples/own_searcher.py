"""A custom searcher: it proposes candidates and observes evaluations; the base class handles batches, duplicates and resuming.

python examples/own_searcher.py
"""

from collections.abc import Sequence

import numpy as np

from archsearch import platform
from archsearch.searchers import ArchitectureSearcher, Observation, register
from archsearch.spaces import Architecture


class HillClimb(ArchitectureSearcher):
    """Hill climbing: mutate the best architecture found so far."""

    largest_batch = 5
    best: tuple[float, Architecture] | None = None

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        if self.best is None:
            return [self.space.sample(rng) for _ in range(count)]
        return [self.space.mutate(self.best[1], rng) for _ in range(count)]

    def observe(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            evaluation = observation.evaluation
            if evaluation.ok and (self.best is None or evaluation.score > self.best[0]):
                self.best = (evaluation.score, evaluation.architecture)


def main(storage: str = "runs", candidates: int = 100) -> None:
    register("hill-climb", HillClimb)
    result = platform.run_search("nasbench201", "hill-climb", "table:digits201", num_candidates=candidates, storage=storage)
    print(result.best, f"validation accuracy {result.best.score:.4f}")


if __name__ == "__main__":
    main()
