from __future__ import annotations

import pytest
import torch
from torch import nn

from archsearch.evaluators.predictors.stacked import FlatParameters
from archsearch.evaluators.predictors.training import train


class Recorder(nn.Module):
    """A model that records its batches; its loss is the square of its parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.sizes, self.rows = nn.Parameter(torch.ones(1)), [], []  # type: ignore[var-annotated]

    def batch(self, tensors: list[torch.Tensor], targets: torch.Tensor, rungs: None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return tensors[0], targets

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        self.sizes.append(batch[1].shape[1])
        self.rows.append(batch[0][-1].flatten().tolist())
        return self.value.square()


@pytest.mark.parametrize(("batch_size", "sizes"), [(10, [10]), (4, [4, 3, 3]), (9, [5, 5])])
def test_an_epoch_is_cut_into_steps_of_equal_size(batch_size: int, sizes: list[int]) -> None:
    model = Recorder()
    parameters = FlatParameters(model)
    optimizer = torch.optim.SGD([parameters.flat], lr=0.1)
    tensors, targets = [torch.arange(10)], torch.linspace(0, 1, 10)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    train(model, parameters, optimizer, tensors, targets, generators, epochs=2, batch_size=batch_size)  # type: ignore[arg-type]
    assert model.sizes == sizes * 2
    epoch = [row for rows in model.rows[: len(sizes)] for row in rows]
    assert sorted(epoch) == list(range(10))
    assert 0 < float(model.value.detach()) < 1.0
    assert not model.training
