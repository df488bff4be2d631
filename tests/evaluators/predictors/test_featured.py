"""Features beside the vectors of an encoder: their scale by hand, and a predictor that reads them."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Predictor
from archsearch.evaluators.predictors.encoders.mlp import RawNumbers
from archsearch.evaluators.predictors.featured import SIZE, Featured
from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings

SPACE = spaces.get("nasbench201")
RNG = np.random.default_rng(0)
BATCH = SPACE.encode([SPACE.sample(RNG) for _ in range(60)])
SCORES = RNG.random(60)
SMALL = {"features": True, "epochs": 3, "width": 8, "head": (8,)}


def test_features_are_standardised_by_the_architectures_of_the_fit(generators: Callable[..., list[torch.Generator]]) -> None:
    form = Form.of(BATCH, 1)
    encoder = RawNumbers(form, Settings(), generators(0, 1))
    body = Featured(encoder, 3, torch.device("cpu"))
    body.settle(torch.tensor([[1.0, 4.0, 2.0], [3.0, 4.0, 2.5]]))
    tensors = [tensor[None, :2] for tensor in RawNumbers.tensors(BATCH, form)]
    given = torch.tensor([[[3.0, 9.0, 2.25], [2.0, 4.0, 99.0]]])
    vectors = body(*body.precompute(*tensors, given))
    assert vectors.shape == (2, 2, body.features)
    expected = SIZE * torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]])  # the second was always 4, the last is cut off
    torch.testing.assert_close(vectors[..., -3:], expected.expand(2, 2, 3))
    torch.testing.assert_close(vectors[..., :-3], encoder(*encoder.precompute(*tensors)))


def test_a_predictor_reads_them_and_keeps_their_scale() -> None:
    predictor = Predictor(SPACE, **SMALL).fit(BATCH[:30], SCORES[:30])
    prepared = predictor.prepare(BATCH)
    assert np.array_equal(prepared.tensors[-1].numpy(), features_of(SPACE, BATCH, "graf"))
    predicted = predictor.predict(prepared)
    assert np.array_equal(Predictor(SPACE, **SMALL).load(predictor.state()).predict(BATCH), predicted)
    assert np.array_equal(pickle.loads(pickle.dumps(predictor)).predict(BATCH), predicted)
    assert not np.array_equal(
        Predictor(SPACE, **{**SMALL, "features": False}).fit(BATCH[:30], SCORES[:30]).predict(BATCH), predicted
    )
    scale = predictor.state()["model"]["encoder.center"].clone()
    predictor.fit(BATCH[30:], SCORES[30:], warm=True, epochs=1)
    assert torch.equal(predictor.state()["model"]["encoder.center"], scale)


def test_a_population_without_them_is_refused() -> None:
    prepared = Predictor(SPACE, **{**SMALL, "features": False}).prepare(BATCH)
    with pytest.raises(ConfigurationError, match="features=False. Prepare it with this predictor"):
        Predictor(SPACE, **SMALL).fit(prepared, SCORES)
