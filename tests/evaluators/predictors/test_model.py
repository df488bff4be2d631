from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.gcn import GCN
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.model import ComparingModel, ScoringModel
from archsearch.evaluators.predictors.settings import Settings

Generators = Callable[..., list[torch.Generator]]
SETTINGS = Settings(width=8, embedding=6, head=(5,), dropout=0.0)


@pytest.fixture
def population() -> tuple[Form, list[torch.Tensor]]:
    space, rng = spaces.get("nasbench101"), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(9)])
    form = Form.of(batch, space.num_inputs)
    return form, [tensor.unsqueeze(0) for tensor in GCN.tensors(batch, form)]


@pytest.mark.parametrize("loss", ["hinge", "bce", "listmle", "mse"])
def test_every_loss_falls_along_its_gradient(
    loss: str, population: tuple[Form, list[torch.Tensor]], generators: Generators
) -> None:
    form, tensors = population
    model = ScoringModel(GCN(form, SETTINGS, generators(0, 1)), loss, SETTINGS, generators(0, 1)).train()
    batch = model.batch(tensors, torch.linspace(0, 1, 9).expand(2, -1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    before = model.loss(batch)
    assert before.shape == (2,)
    for _ in range(60):
        optimizer.zero_grad()
        model.loss(batch).sum().backward()
        optimizer.step()
    assert (model.loss(batch) < before).all()


def test_an_architecture_is_scored_by_its_wins_over_the_references(
    population: tuple[Form, list[torch.Tensor]], generators: Generators
) -> None:
    form, tensors = population
    model = ComparingModel(GCN(form, SETTINGS, generators(0)), SETTINGS, generators(0), references=3).eval()
    with torch.no_grad():
        model.remember([tensor[:, :3] for tensor in tensors])
        scores = model(tensors)
        vectors = model.encoder(*model.encoder.precompute(*tensors))[0]
        for row in range(9):
            wins = []
            for reference in model.references[0]:
                rising = model.head(torch.cat([reference, vectors[row] - reference])[None, None])
                falling = model.head(torch.cat([vectors[row], reference - vectors[row]])[None, None])
                wins.append(float(rising.sigmoid() + 1 - falling.sigmoid()) / 2)
            assert float(scores[0, row]) == pytest.approx(np.mean(wins), abs=1e-6)
