from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from archsearch.evaluators.predictors.features import features_of
from archsearch.evaluators.predictors.gaussian_process import GaussianProcess
from archsearch.searchers.gaussian_process import GaussianProcessSurrogate
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.searchers.surrogate.proxy_reranking import SCALE, ProxyReranking
from archsearch.searchers.surrogate.proxy_scores import ProxyScores
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
IMAGES: dict[str, Any] = {"dataset": "digits", "batch_size": 8, "scale": {"channels": 2, "cells_per_stage": 1}}
RNG = np.random.default_rng(0)
CELLS = [SPACE.sample(RNG) for _ in range(12)]
ROWS = {"architectures": [str(cell) for cell in CELLS], "values": np.linspace(0.1, 0.9, 12)[:, np.newaxis]}
NAMES = ("params", "synflow")
OPTIONS: dict[str, Any] = {"seed": 1, "exclude": [], "best": ROWS["architectures"][:3], "inner": Generations(20, 2)}


def made(weight: float, most: int = 12, names: tuple[str, ...] = NAMES) -> ProxyReranking:
    scores = ProxyScores(SPACE, names, IMAGES)
    return ProxyReranking(lambda: GaussianProcessSurrogate(SPACE), scores, weight=weight, most=most, optimism=0.5)


def fitted(weight: float, **options: Any) -> ProxyReranking:
    surrogate = made(weight, **options)
    surrogate.fit(ROWS, seed=0, learned={"score": 0})
    return surrogate


def test_the_process_reads_the_graph_and_standardised_logarithms() -> None:
    asked = [SPACE.sample(RNG) for _ in range(5)]
    logs = [np.log1p(ProxyScores(SPACE, NAMES, IMAGES).of(cells)) for cells in (CELLS, asked)]  # both scores are positive
    columns = [SCALE * (each - logs[0].mean(axis=0)) / logs[0].std(axis=0) for each in logs]
    known, unknown = (
        np.hstack([features_of(SPACE, cells, "graf"), each.astype(np.float32)])
        for cells, each in zip((CELLS, asked), columns, strict=True)
    )
    mean, deviation = GaussianProcess(SPACE, 0).fit(known, ROWS["values"][:, 0]).predict_moments(unknown)
    found = fitted(1.0).score([str(cell) for cell in asked])
    np.testing.assert_allclose(found, mean + 0.5 * deviation, rtol=1e-4, atol=1e-5)


def test_the_weight_is_the_share_of_the_process() -> None:
    asked = [str(SPACE.sample(RNG)) for _ in range(5)]
    plain = GaussianProcessSurrogate(SPACE)
    plain.fit(ROWS, seed=0, learned={"score": 0})
    second = fitted(1.0).score(asked)
    np.testing.assert_allclose(fitted(0.25).score(asked), 0.75 * plain.score(asked) + 0.25 * second, rtol=1e-6)


def test_the_first_proposals_are_ranked_again_best_first() -> None:
    goals, surrogate = Goals(), fitted(1.0, most=12)
    plain = GaussianProcessSurrogate(SPACE)
    plain.fit(ROWS, seed=0, learned={"score": 0})
    first = plain.propose(12, goals=goals, **OPTIONS)["architectures"]
    found = surrogate.propose(5, goals=goals, **OPTIONS)
    order = np.argsort(-surrogate.score(first), kind="stable")[:5]
    assert found["architectures"] == [first[at] for at in order]
    assert found["predictions"] == sorted(found["predictions"], reverse=True)


def test_a_loaded_state_proposes_the_same() -> None:
    first, second = made(0.5), made(0.5)
    second.load(first.fit(ROWS, seed=0, learned={"score": 0}))
    proposals = [each.propose(4, goals=Goals(), **OPTIONS) for each in (first, second)]
    assert proposals[0] == proposals[1]


@pytest.mark.parametrize("names", [("params",), ("jacov", "params")])
def test_scores_that_are_constant_or_missing_change_nothing(names: tuple[str, ...]) -> None:
    nothing = SPACE.from_genotype([0] * 6)  # has no jacov
    surrogate = made(1.0, names=names)
    rows = {"architectures": [str(nothing), *ROWS["architectures"]], "values": np.vstack([[[0.05]], ROWS["values"]])}
    surrogate.fit(rows, seed=0, learned={"score": 0})
    found = surrogate.score(rows["architectures"])
    assert np.isfinite(found).all()
    assert stats.kendalltau(found, rows["values"][:, 0]).statistic > 0.5
