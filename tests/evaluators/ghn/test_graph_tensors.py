from __future__ import annotations

from types import ModuleType

import pytest
import torch

from archsearch.errors import ArchitectureError
from archsearch.evaluators.ghn.graph_tensors import graph_tensors
from archsearch.evaluators.ghn.vocabulary import Vocabulary


def test_graphs_are_padded_to_the_largest(worlds: ModuleType) -> None:
    layouts, vocabulary = worlds.layouts("nasbench101", 4), worlds.model("nasbench101").vocabulary
    tensors = graph_tensors(layouts, vocabulary, virtual_edges=0, sliced=True, fixed=False, device=torch.device("cpu"))
    assert (tensors.size, len(tensors.modules)) == (4, max(len(layout.modules) for layout in layouts))
    module = tensors.modules[1]
    assert module.num_nodes == max(len(layout.modules[1].kinds) for layout in layouts)
    assert module.reaches is None
    for row, layout in enumerate(layouts):
        size = module.sizes[row]
        assert [vocabulary.kinds[kind] for kind in module.kinds[row, :size]] == list(layout.modules[1].kinds)
        assert (module.kinds[row, size:] == len(vocabulary.kinds)).all()
        assert torch.equal(module.reads[row, :size, :size].bool(), torch.from_numpy(layout.modules[1].adjacency.T.copy()))
        assert len(tensors.places[row]) == sum(len(owner.type.own) for owner in layout.owners.values())


def test_virtual_edges_have_the_inverse_of_the_distance(worlds: ModuleType) -> None:
    layouts, vocabulary = worlds.layouts("nasbench101", 1), worlds.model("nasbench101").vocabulary
    tensors = graph_tensors(layouts, vocabulary, virtual_edges=3, sliced=True, fixed=False, device=torch.device("cpu"))
    reaches = tensors.modules[1].reaches
    assert reaches is not None
    assert {round(float(each), 6) for each in reaches.unique()} <= {0.0, 0.5, round(1 / 3, 6)}
    assert not (reaches.bool() & tensors.modules[1].reads.bool()).any()


def test_an_unknown_operator_is_refused(worlds: ModuleType) -> None:
    with pytest.raises(ArchitectureError, match="expected the operators that the hypernetwork was made for"):
        graph_tensors(
            worlds.layouts("cells", 1), Vocabulary(), virtual_edges=0, sliced=True, fixed=False, device=torch.device("cpu")
        )
