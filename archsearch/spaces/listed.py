"""A search space restricted to a list of architectures, such as those of a benchmark table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ConfigurationError
from archsearch.spaces.architecture import Architecture
from archsearch.spaces.graph import GraphBatch
from archsearch.spaces.space import Genotype, SearchSpace

Read = Callable[[], Sequence[str]]
_NEIGHBOURS = 10
_REMEMBERED = 64  # evolution mutates the same few parents many times
_JUMPS = 0.1  # without jumps, an architecture that is near to no other could not be reached


class Listed(SearchSpace):
    """The listed architectures of a search space; use the function `listed` to make one.

    `sample` draws uniformly from the list. `mutate` returns one of the ten nearest listed architectures (the number of differing
    genes is the distance) or, with probability 0.1, any other one. A genotype or graph that is not listed stands for the nearest
    listed architecture. Everything else, including the name and the keys, is that of the space.
    """

    constrained = True
    _base: SearchSpace
    _given: Sequence[str] | Read

    @property
    def whole(self) -> SearchSpace:
        """The space that the list is a part of."""
        return self._base

    def __reduce__(self) -> tuple[Any, ...]:
        return listed, (self._base, self._given)

    def __repr__(self) -> str:
        return f"{self._base!r} confined to {len(self._texts):,} architectures"

    @property
    def size(self) -> int:
        return len(self._texts)

    @property
    def num_unique(self) -> int | None:
        return self._num_unique

    @property
    def num_listed(self) -> int | None:
        return self.size if self.size <= self.enumerable else None  # not that of the whole space

    def listed_graphs(self) -> GraphBatch:
        return SearchSpace.listed_graphs(self)

    def all_genotypes(self) -> Iterator[Genotype]:
        yield from map(tuple, self._genes.T.tolist())

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self._base.parse(self._texts[int(rng.integers(len(self._texts)))])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        distances = self._distances(self._base.genotype(architecture))
        at_distance = np.bincount(distances)
        at_distance[0] = 0
        if not (others := int(at_distance.sum())):
            return architecture
        if rng.random() < _JUMPS:
            return self._at(int(rng.choice(np.flatnonzero(distances))))
        # Draw a rank among the nearest, then one of all architectures at the distance of that rank: no sorting is needed.
        place = int(rng.integers(min(_NEIGHBOURS, others)))
        distance = int(np.searchsorted(at_distance.cumsum(), place, side="right"))
        return self._at(int(rng.choice(np.flatnonzero(distances == distance))))

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        sizes = [len(alternatives) for alternatives in self.choices.values()]
        if len(genotype) != len(sizes) or any(not 0 <= gene < size for gene, size in zip(genotype, sizes, strict=True)):
            return self._base.from_genotype(genotype)  # raises the error that says what is wrong
        return self._at(int(self._distances(tuple(genotype)).argmin()))

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        return [self.from_genotype(self._base.genotype(each)) for each in self._base.decode(batch)]

    def _at(self, row: int) -> Architecture:
        return self._base.parse(self._texts[row])

    @cached_property
    def _distances(self) -> Callable[[Genotype], NDArray[np.int16]]:
        """Function from a genotype to its distance from each listed architecture, `[architectures]`, with a cache."""
        return lru_cache(_REMEMBERED)(self._counted_distances)

    def _counted_distances(self, genotype: Genotype) -> NDArray[np.int16]:
        differs = self._genes != np.asarray(genotype, dtype=np.int16)[:, np.newaxis]
        distances: NDArray[np.int16] = differs.sum(0, dtype=np.int16)
        return distances

    @cached_property
    def _texts(self) -> Sequence[str]:
        return self._given() if callable(self._given) else self._given

    @cached_property
    def _genes(self) -> NDArray[np.int16]:
        """Genotypes, `[genes, architectures]`: with the values of a gene side by side, distances are six times as fast.

        Computed on first use; processes that only look up scores never need them.
        """
        return np.ascontiguousarray(self._base.genotypes([self._base.parse(text) for text in self._texts]).T)

    @cached_property
    def _num_unique(self) -> int:
        return len({self._base.key(self._base.parse(text)) for text in self._texts})


def listed(space: SearchSpace, architectures: Sequence[str | Architecture] | Read) -> SearchSpace:
    """Return a search space restricted to some of its architectures.

    Args:
        space: The full space.
        architectures: The architectures to keep, or their strings, or a function that returns their strings. A function is
            pickled in place of a long list.

    Raises:
        ArchitectureError: One of them is not of the space; raised when it is first used.
        ConfigurationError: The list is empty.

    Example:
        >>> from archsearch import spaces
        >>> from archsearch.spaces.listed import listed
        >>> space = spaces.get("nasbench201")
        >>> listed(space, [space.from_genotype([gene] * 6) for gene in (0, 3, 4)]).size
        3
    """
    given = architectures if callable(architectures) else tuple(map(str, architectures))
    if not callable(given) and not given:
        raise ConfigurationError("architectures: expected at least one; got none.")
    base = space._base if isinstance(space, Listed) else space
    kind = type(f"Listed{type(base).__name__}", (Listed, type(base)), {"__module__": __name__})
    found: Listed = object.__new__(kind)
    found.__dict__.update(base.__dict__, _base=base, _given=given)
    return found
