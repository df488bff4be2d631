"""Fusions: the mean of their members and its uncertainty, rungs, states, and wrong arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Predictor
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.forest import Forest
from archsearch.evaluators.predictors.fusion import MEMBERS, Fusion, Rungs
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.spaces import SearchSpace

SPACE = spaces.get("nasbench201")
TINY: dict[str, Any] = {"epochs": 20, "width": 16, "hidden": 8, "embedding": 8, "head": (16,), "learning_rate": 0.01}
RNG = np.random.default_rng(0)
ARCHITECTURES = [SPACE.representative(SPACE.sample(RNG)) for _ in range(120)]
SCORES = np.array([str(each).count("nor_conv_3x3") + 0.01 * place / 120 for place, each in enumerate(ARCHITECTURES)])


def fitted(**arguments: Any) -> Fusion:
    return Fusion(SPACE, 3, predictor=TINY, **arguments).fit(ARCHITECTURES[:40], SCORES[:40])


def test_it_is_the_mean_of_its_members_and_their_disagreement() -> None:
    gates = Predictor(SPACE, seed=3, **TINY).fit(ARCHITECTURES[:40], SCORES[:40])
    process = GaussianProcess(SPACE, 3).fit(ARCHITECTURES[:40], SCORES[:40])
    forest = Forest(SPACE, 3).fit(ARCHITECTURES[:40], SCORES[:40])
    expected, deviation = process.predict_moments(ARCHITECTURES)
    each = np.stack([gates.predict(ARCHITECTURES), expected, forest.predict(ARCHITECTURES)])
    mean, spread = fitted(members=MEMBERS).predict_moments(ARCHITECTURES)
    together = 0.5 * each[0] + 0.25 * each[1] + 0.25 * each[2]
    np.testing.assert_allclose(mean, together, rtol=1e-6)
    between = 0.5 * (each[0] - together) ** 2 + 0.25 * (each[1] - together) ** 2 + 0.25 * (each[2] - together) ** 2
    np.testing.assert_allclose(spread, np.sqrt(deviation**2 + between), rtol=1e-6)
    two, apart = fitted().predict_moments(ARCHITECTURES)
    np.testing.assert_allclose(two, (2.0 * each[0] + each[1]) / 3.0, rtol=1e-6)
    np.testing.assert_allclose(fitted(optimism=2.0).predict(ARCHITECTURES), two + 2.0 * apart, rtol=1e-6)
    alone = fitted(members=("gp",), optimism=1.0)
    np.testing.assert_allclose(alone.predict(ARCHITECTURES), expected + deviation, rtol=1e-6)
    rough = alone.screen(alone.prepare_to_screen(SPACE.encode(ARCHITECTURES)))
    np.testing.assert_allclose(rough, expected + deviation, rtol=1e-6)
    assert kendall_tau(SCORES[40:], mean[40:]) > 0.6


def test_prepared_architectures_are_the_same() -> None:
    fusion = fitted()
    prepared = fusion.prepare(ARCHITECTURES)
    np.testing.assert_allclose(fusion.predict(prepared[10:30]), fusion.predict(ARCHITECTURES)[10:30], atol=1e-5)
    assert len(prepared[np.array([1, 5])]) == 2
    assert fusion.predict([]).shape == (0,)


def test_scores_of_one_rung_alone_are_compared_by_gates() -> None:
    """Half of the candidates are stopped, at scores far above all complete ones; process and forest are given an order."""
    survives = SCORES[:40] >= np.median(SCORES[:40])
    candidates = np.concatenate([np.arange(40), np.flatnonzero(survives)])
    rungs = np.concatenate([np.zeros(40, dtype=int), np.ones(survives.sum(), dtype=int)])
    scores = np.concatenate([SCORES[:40] + 10.0, SCORES[:40][survives]])
    fusion = Fusion(SPACE, 0, predictor={**TINY, "epochs": 60})
    fusion.fit(ARCHITECTURES[:40], SCORES[:40], rungs=Rungs(candidates, rungs, scores))
    gates = Predictor(SPACE, seed=0, **{**TINY, "epochs": 60})
    gates.fit([ARCHITECTURES[at] for at in candidates], scores, rungs=rungs)
    np.testing.assert_allclose(fusion._gates.predict(ARCHITECTURES), gates.predict(ARCHITECTURES), atol=1e-5)
    by_score = Fusion(SPACE, 0, predictor={**TINY, "loss": "mse"})
    by_score.fit(ARCHITECTURES[:40], SCORES[:40], rungs=Rungs(candidates, rungs, scores))
    assert kendall_tau(SCORES[40:], by_score.predict(ARCHITECTURES[40:])) > 0.3


@pytest.mark.parametrize("members", [MEMBERS, ("gp", "forest")])
def test_a_saved_state_predicts_the_same(members: tuple[str, ...]) -> None:
    fusion = fitted(members=members)
    again = Fusion(SPACE, 9, predictor=TINY, members=members).load(fusion.state())
    np.testing.assert_array_equal(again.predict(ARCHITECTURES), fusion.predict(ARCHITECTURES))
    with pytest.raises(ConfigurationError, match="members"):
        Fusion(SPACE, predictor=TINY).load(fusion.state())
    with pytest.raises(ConfigurationError, match="version"):
        again.load({**fusion.state(), "gp": {}})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasbench101", "enas", "nasnet", "cells"])
def test_other_spaces_have_fusions(name: str) -> None:
    space: SearchSpace = spaces.get(name)
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(12)]
    mean, deviation = Fusion(space, predictor=TINY).fit(architectures, rng.random(12)).predict_moments(architectures)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="members: "):
        Fusion(SPACE, members=("gates", "tree"))
    for members in ((), ("gates", "forest"), ("gp", "gp")):
        with pytest.raises(ConfigurationError, match="members: expected different ones of gates, gp, forest, 'gp' among them"):
            Fusion(SPACE, members=members)
    with pytest.raises(ConfigurationError, match="epochz"):
        Fusion(SPACE, predictor={"epochz": 3})
    with pytest.raises(ConfigurationError, match="call fit or load first"):
        Fusion(SPACE).predict(ARCHITECTURES)
