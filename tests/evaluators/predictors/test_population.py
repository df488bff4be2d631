from __future__ import annotations

import torch

from archsearch.evaluators.predictors.encoders.mlp import RawNumbers
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.population import Population


def test_rows_and_chunks_are_those_of_all_tensors() -> None:
    form = Form(("input", "output"), 1, 1, 3)
    whole = Population(RawNumbers, form, (torch.arange(5), torch.arange(10).view(5, 2)))
    assert len(whole) == 5
    part = whole[torch.tensor([4, 0])]
    assert part.tensors[0].tolist() == [4, 0]
    assert part.tensors[1].tolist() == [[8, 9], [0, 1]]
    assert [chunk[1].shape for chunk in whole.chunks(2)] == [(1, 2, 2), (1, 2, 2), (1, 1, 2)]
