"""Candidates that are scored together."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from archsearch.errors import ArchitectureError
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.ghn.candidates import chunks, generated, num_parameters, scored
from archsearch.evaluators.ghn.modules import Layout, Module


def test_candidates_are_cut_into_chunks_that_fit(worlds: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = worlds.layouts("cells", 5)
    monkeypatch.setattr("archsearch.evaluators.ghn.candidates._LARGEST_BUFFER", 2 * max(map(num_parameters, layouts)))
    cut = list(chunks(layouts))
    assert [layout for chunk in cut for layout in chunk] == layouts
    assert 1 < len(cut) < 5
    assert list(chunks([])) == []


def test_operator_of_another_type_is_refused(worlds: ModuleType) -> None:
    [layout] = worlds.layouts("nasbench201", 1)
    module = layout.modules[1]
    changed = Module(("Fourier", *module.kinds[1:]), module.adjacency, module.positions)
    with pytest.raises(ArchitectureError, match="Fourier"):
        generated(worlds.model("nasbench201"), [Layout(layout.plan, (layout.modules[0], changed), {})])


def test_a_candidate_is_scored_alone_as_among_others(worlds: ModuleType) -> None:
    layouts, model = worlds.layouts("nasbench201", 3), worlds.model("nasbench201")
    images = torch.randn((8, *worlds.SHAPE), generator=torch.Generator().manual_seed(0))
    batches = [Resident(images, torch.arange(8))]
    together = [found.exits for found in scored(model, layouts, batches)]
    alone = [next(scored(model, [layout], batches)) for layout in layouts]
    for exits, found in zip(together, alone, strict=True):
        assert found.error is None and found.generation > 0 and found.execution > 0
        assert exits[0] == pytest.approx(found.exits[0], rel=1e-4)
