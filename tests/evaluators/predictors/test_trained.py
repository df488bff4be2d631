from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.predictors.encoders.gcn import GCN
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.population import Population
from archsearch.evaluators.predictors.settings import Settings
from archsearch.evaluators.predictors.trained import Trained

SETTINGS = Settings(width=8, embedding=6, head=(5,))


@pytest.fixture
def population() -> Population:
    space, rng = spaces.get("nasbench101"), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(40)])
    form = Form.of(batch, space.num_inputs)
    return Population(GCN, form, GCN.tensors(batch, form))


def made(population: Population, loss: str = "hinge", seed: int = 0) -> Trained:
    trained = Trained(GCN, population.form, loss, SETTINGS, seed, 2, torch.device("cpu"))
    trained.model.eval()
    trained.settle(population)
    return trained


@pytest.mark.parametrize("loss", ["hinge", "comparator"])
def test_scores_are_standardised_and_go_through_pickles_and_states(population: Population, loss: str) -> None:
    trained = made(population, loss)
    scores = trained.scores(population)
    assert scores.shape == (2, 40)
    assert scores.mean(1) == pytest.approx(0.0, abs=1e-6)
    assert scores.std(1) == pytest.approx(1.0)
    again = pickle.loads(pickle.dumps(trained))
    assert np.array_equal(again.scores(population), scores)
    other = made(population, loss, seed=1)
    assert not np.array_equal(other.scores(population), scores)
    other.load(trained.state())
    assert np.array_equal(other.scores(population), scores)


def test_scores_that_are_not_finite_are_refused(population: Population) -> None:
    trained = made(population)
    with torch.no_grad():
        trained.parameters.flat.fill_(float("nan"))
    with pytest.raises(ConfigurationError, match="learning_rate: expected one with which the training converges"):
        trained.settle(population)
