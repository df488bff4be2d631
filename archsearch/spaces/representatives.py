"""One architecture for each key of a small search space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from archsearch.errors import ArchitectureError
from archsearch.spaces.architecture import Architecture


class Listable(Protocol):
    """What is asked of a search space whose architectures are listed."""

    @property
    def constrained(self) -> bool:
        """Whether some genotypes are invalid."""

    def all_genotypes(self) -> Iterator[tuple[int, ...]]:
        """Yield every genotype."""

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        """Return the architecture of a genotype."""

    def key(self, architecture: Architecture) -> str:
        """Return the canonical identity of an architecture."""


_found: WeakKeyDictionary[Listable, dict[str, Architecture]] = WeakKeyDictionary()


def representatives(space: Listable) -> dict[str, Architecture]:
    """Return the architecture of the first genotype of each key, in the order of the genotypes; made once for each space.

    It takes as long as the keys of all genotypes: ask for it where `space.size <= space.enumerable`.

    Example:
        >>> from archsearch import spaces
        >>> len(representatives(spaces.get("nasbench201")))
        6466
    """
    if space not in _found:
        by_key: dict[str, Architecture] = {}
        for genotype in space.all_genotypes():
            try:
                architecture = space.from_genotype(genotype)
            except ArchitectureError:
                if not space.constrained:
                    raise
                continue
            by_key.setdefault(space.key(architecture), architecture)
        _found[space] = by_key
    return _found[space]
