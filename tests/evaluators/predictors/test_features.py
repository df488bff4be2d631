"""Features of a key: the mean over its spellings, targets, and the rows that are learned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from archsearch import spaces
from archsearch.errors import ArchitectureError
from archsearch.evaluators.predictors.features import features_of, normal_quantiles, rows_to_learn
from archsearch.evaluators.predictors.graf import graph_features

SPACE = spaces.get("nasbench201")


def test_features_are_the_mean_over_all_genotypes_of_a_key() -> None:
    by_key: dict[str, list[tuple[int, ...]]] = {}
    for genotype in SPACE.all_genotypes():
        by_key.setdefault(SPACE.key(SPACE.from_genotype(genotype)), []).append(genotype)
    chosen = [by_key[key] for key in list(by_key)[::300]]
    assert max(map(len, chosen)) > 1
    architectures = [SPACE.from_genotype(same[0]) for same in chosen]
    expected = [
        graph_features(SPACE.encode([SPACE.from_genotype(genotype) for genotype in same])).mean(axis=0) for same in chosen
    ]
    found = features_of(SPACE, architectures, "graf")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array(expected, dtype=np.float32), rtol=1e-6)
    np.testing.assert_array_equal(features_of(SPACE, architectures[3:5], "graf"), found[3:5])
    assert features_of(SPACE, [], "graf").shape == (0, found.shape[1])


def test_graphs_of_another_space_are_refused() -> None:
    other = spaces.get("enas")
    batch = other.encode([other.sample(np.random.default_rng(0))])
    with pytest.raises(ArchitectureError, match="expected graphs with the operators of nasbench201"):
        features_of(SPACE, batch, "graf")


def test_equal_scores_share_a_quantile() -> None:
    quantiles = normal_quantiles(np.array([0.1, 0.7, 0.7, 0.9]))
    assert quantiles == pytest.approx(stats.norm.ppf([0.125, 0.5, 0.5, 0.875]))


def test_of_many_rows_the_best_and_others_at_random_are_learned() -> None:
    scores = np.random.default_rng(0).permutation(100).astype(float)
    kept = rows_to_learn(scores, 20, np.random.default_rng(1))
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert len(kept) == 20
    assert set(np.argsort(-scores)[:10]) <= set(kept.tolist())
    assert rows_to_learn(scores, 100, np.random.default_rng(1)).tolist() == list(range(100))
