"""A space confined to a list: what a benchmark table that holds a part of a space can answer for."""

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
_REMEMBERED = 64  # an evolution mutates the same few parents again and again
_JUMPS = 0.1  # without them, what is nobody's near neighbour could not be reached


class Listed(SearchSpace):
    """The listed architectures of a space; made by `listed`.

    Samples are drawn uniformly from the list. A mutation is one of the ten listed architectures whose genes differ least or, one
    time in ten, any other one. A genotype or graph that is not listed stands for the listed architecture that is nearest in this
    sense. All else, the name and the keys too, is that of the space.
    """

    constrained = True
    _base: SearchSpace
    _given: Sequence[str] | Read

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
        # A place among the nearest says how far to go; those as far are alike. So the list need not be sorted.
        place = int(rng.integers(min(_NEIGHBOURS, others)))
        distance = int(np.searchsorted(at_distance.cumsum(), place, side="right"))
        return self._at(int(rng.choice(np.flatnonzero(distances == distance))))

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        sizes = [len(alternatives) for alternatives in self.choices.values()]
        if len(genotype) != len(sizes) or any(not 0 <= gene < size for gene, size in zip(genotype, sizes, strict=True)):
            return self._base.from_genotype(genotype)  # it says what is wrong
        return self._at(int(self._distances(tuple(genotype)).argmin()))

    def decode(self, batch: GraphBatch) -> list[Architecture]:
        return [self.from_genotype(self._base.genotype(each)) for each in self._base.decode(batch)]

    def _at(self, row: int) -> Architecture:
        return self._base.parse(self._texts[row])

    @cached_property
    def _distances(self) -> Callable[[Genotype], NDArray[np.int16]]:
        """Of a genotype: in how many genes each listed architecture differs, `[architectures]`; the last ones are remembered."""
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
        """Genotypes, `[genes, architectures]`: a gene of all lies together, which makes distances six times as fast.

        Processes that only look scores up never need them.
        """
        return np.ascontiguousarray(self._base.genotypes([self._base.parse(text) for text in self._texts]).T)

    @cached_property
    def _num_unique(self) -> int:
        return len({self._base.key(self._base.parse(text)) for text in self._texts})


def listed(space: SearchSpace, architectures: Sequence[str | Architecture] | Read) -> SearchSpace:
    """Return a space with some of its architectures only.

    Args:
        space: The whole space.
        architectures: What is kept: architectures, or their texts, or a function that reads their texts. Such a function is what
            travels to other processes, instead of a long list.

    Raises:
        ArchitectureError: One of them is not of the space; found when it is first needed.
        ConfigurationError: There is none.

    Example:
        >>> space = listed(spaces.get("enas"), table.architectures)
    """
    given = architectures if callable(architectures) else tuple(map(str, architectures))
    if not callable(given) and not given:
        raise ConfigurationError("architectures: expected at least one; got none.")
    base = space._base if isinstance(space, Listed) else space
    kind = type(f"Listed{type(base).__name__}", (Listed, type(base)), {"__module__": __name__})
    found: Listed = object.__new__(kind)
    found.__dict__.update(base.__dict__, _base=base, _given=given)
    return found
