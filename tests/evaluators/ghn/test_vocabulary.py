from __future__ import annotations

from types import ModuleType

import pytest

from archsearch.errors import ArchitectureError
from archsearch.evaluators.ghn.modules import OUTPUT
from archsearch.evaluators.ghn.vocabulary import Vocabulary, training_space
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201


def test_vocabularies_merge_to_the_largest_shapes(worlds: ModuleType) -> None:
    parts = [Vocabulary.of(layout, True) for layout in worlds.layouts("cells", 4)]
    merged = Vocabulary()
    for part in parts:
        merged = merged.merged(part)
    assert set(merged.kinds) == {kind for part in parts for kind in part.kinds}
    assert OUTPUT in merged.kinds
    assert merged.num_nodes == max(part.num_nodes for part in parts)
    for branch in merged.branches:
        extents = [each.extent for part in parts for each in part.branches if each.key == branch.key]
        assert branch.extent == tuple(map(max, *extents, extents[0]))
    assert Vocabulary.from_state(merged.state()) == merged


def test_a_network_with_an_unknown_operator_is_refused(worlds: ModuleType) -> None:
    first, *others = worlds.layouts("cells", 5)
    vocabulary = Vocabulary.of(first, True)
    vocabulary.check(first)
    with pytest.raises(ArchitectureError, match="Train one on a space that has this operator"):
        for layout in others:
            vocabulary.check(layout)


def test_only_spaces_of_blocks_are_trained_on_smaller_ones() -> None:
    assert repr(training_space(Cells(17), 7)) == repr(Cells(7))
    space = NASBench201()
    assert training_space(space, 7) is space
    large = Cells(17)
    assert training_space(large, 0) is large
