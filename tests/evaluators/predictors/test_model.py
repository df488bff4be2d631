from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.gcn import GCN
from archsearch.evaluators.predictors.featured import Featured
from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.losses import NAMES
from archsearch.evaluators.predictors.model import Body, ComparingModel, ScoringModel
from archsearch.evaluators.predictors.predictor import ENCODERS
from archsearch.evaluators.predictors.settings import PRESETS, Settings, settings_of
from archsearch.evaluators.predictors.structure import Structured, structure

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


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["nasbench101", "nasbench201", "nasnet"])
def test_losses_and_gradients_of_each_preset_equal_the_equations(
    name: str, preset: str, plain: ModuleType, generators: Generators
) -> None:
    """GATES on nodes, on pairs and in slots, the head and all losses, in float64 against the sequential twin."""
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(5)]
    batch = space.encode(architectures)
    form = Form.of(batch, space.num_inputs)
    preset_settings = settings_of(preset, form)
    settings = preset_settings.with_changes(width=6, embedding=4, hidden=5, head=(5, 4), dropout=0.0, pairs=0)
    kind = ENCODERS["gates"](form)
    counted, features = structure(batch).double(), torch.tensor(features_of(space, batch, "graf")).double()
    deviation, mean = torch.std_mean(features, dim=0, correction=0)
    standardised = torch.where(deviation > 0, 0.3 * (features - mean) / deviation, 0.0)
    appended = [counted] * settings.structure + [features] * settings.features
    rows = [counted] * settings.structure + [standardised] * settings.features
    targets = [0.2, 0.9, 0.4, 0.4, 0.6]
    for loss in NAMES:
        encoder = kind(form, settings, generators(3))
        body: Body = Structured(encoder, form) if settings.structure else encoder
        if settings.features:
            body = Featured(body, features.shape[1], torch.device("cpu"))
            body.settle(features)
        compares = loss == "comparator"
        model: ScoringModel | ComparingModel = (
            ComparingModel(body, settings, generators(4)) if compares else ScoringModel(body, loss, settings, generators(4))
        )
        model = model.double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generators(5)[0], dtype=torch.float64))
        tensors = [*kind.tensors(batch, form), *appended]
        fast = model.loss(model.batch([each.unsqueeze(0) for each in tensors], torch.tensor([targets], dtype=torch.float64)))
        vectors = [plain.vector(body, space, each, *(row[place] for row in rows)) for place, each in enumerate(architectures)]
        if compares:
            slow = plain.comparator(model.head, vectors, targets, settings.margin)
        else:
            slow = plain.loss(loss, [plain.head(model.head, each) for each in vectors], targets, settings.margin)
        precision = 1e-7 if compares else 1e-12  # the weights of pairs that are drawn are in single precision
        torch.testing.assert_close(fast[0], slow, rtol=precision, atol=1e-13)
        of = list(model.parameters())
        pairs = [torch.autograd.grad(each, of, materialize_grads=True) for each in (fast.sum(), slow)]
        for left, right in zip(*pairs, strict=True):
            torch.testing.assert_close(left, right, rtol=1e3 * precision, atol=10 * precision)
