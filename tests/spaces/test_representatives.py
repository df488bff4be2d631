"""One architecture for each key, where invalid genotypes are skipped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from archsearch.errors import ArchitectureError
from archsearch.searchers.conformance import SmallSpace
from archsearch.spaces import Architecture
from archsearch.spaces.representatives import representatives


class Picky(SmallSpace):
    """A space that refuses architectures with an operator on its first edge."""

    constrained = True

    def from_genotype(self, genotype: Sequence[int]) -> Architecture:
        if genotype[0]:
            raise ArchitectureError("the first edge must be empty")
        return super().from_genotype(genotype)


def test_each_key_has_its_first_genotype_and_the_table_is_made_once() -> None:
    space = SmallSpace(3)
    found = representatives(space)
    assert found.keys() == space.structures()
    genotypes = {key: space.genotype(each) for key, each in found.items()}
    assert list(genotypes.values()) == sorted(genotypes.values())
    assert representatives(space) is found
    assert representatives(SmallSpace(2)).keys() < found.keys()


def test_invalid_genotypes_are_skipped_only_where_some_are_expected() -> None:
    space = Picky(2)
    assert all(space.genotype(each)[0] == 0 for each in representatives(space).values())
    strict = Picky(2)
    strict.constrained = False  # type: ignore[misc]
    with pytest.raises(ArchitectureError, match="first edge"):
        representatives(strict)
