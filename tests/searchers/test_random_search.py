"""Random search draws uniformly over genotypes."""

from __future__ import annotations

import numpy as np
from scipy import stats

from archsearch.searchers import RandomSearch
from archsearch.spaces.nasbench201 import OPERATORS, NASBench201


def test_draws_are_uniform_over_genotypes() -> None:
    space = NASBench201()
    genotypes = space.genotypes(RandomSearch(space).propose(5000, np.random.default_rng(0)))
    for gene in range(genotypes.shape[1]):
        assert stats.chisquare(np.bincount(genotypes[:, gene], minlength=len(OPERATORS))).pvalue > 1e-3
    pairs = genotypes[:, 0].astype(int) * 5 + genotypes[:, 3]
    assert stats.chisquare(np.bincount(pairs, minlength=25)).pvalue > 1e-3


def test_draws_come_from_the_generator_that_is_given() -> None:
    space = NASBench201()
    searcher = RandomSearch(space, seed=1)
    assert searcher.propose(5, np.random.default_rng(7)) == searcher.propose(5, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    assert searcher.propose(5, np.random.default_rng(7)) == [space.sample(rng) for _ in range(5)]
