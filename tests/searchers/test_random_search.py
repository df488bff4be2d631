"""Random search draws uniformly over genotypes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from archsearch.evaluators import Evaluation
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


def drawn(searcher: RandomSearch, count: int) -> list[str]:
    """Return the texts of the first candidates, whoever evaluates them."""
    for number in itertools.count():
        if len(searcher.history) >= count:
            return [str(row.evaluation.architecture) for row in searcher.history]
        suggestion = searcher.suggest(f"trial{number}")
        if not isinstance(suggestion, dict):
            return [str(row.evaluation.architecture) for row in searcher.history]
        size = len(suggestion["candidates"])
        result = {"scores": [0.5] * size, "seconds": [0.0] * size, "errors": [None] * size}
        searcher.on_trial_complete(f"trial{number}", result)
    raise AssertionError


@pytest.mark.parametrize("batch_size", [1, 7, 60])
@pytest.mark.parametrize("known", [0, 1, 30, 400])
def test_a_seed_has_one_sequence_whatever_the_ledger_holds(known: int, batch_size: int) -> None:
    space = NASBench201()
    expected = drawn(RandomSearch(space, seed=3, num_candidates=60, batch_size=1), 60)
    searcher = RandomSearch(space, seed=3, num_candidates=60, batch_size=batch_size)
    rng = np.random.default_rng(9)
    architectures = [space.parse(text) for text in expected[::2]] + [space.sample(rng) for _ in range(known)]
    others = [Evaluation(each, space.key(each), 0.1) for each in architectures[:known]]
    searcher.ledger = {each.key: each for each in others}
    assert not searcher.ledger_changes_course
    assert drawn(searcher, 60) == expected


@pytest.mark.parametrize("lost", [[], [3, 4, 11], list(range(20))])
def test_a_restart_draws_what_is_missing(lost: list[int]) -> None:
    space = NASBench201()
    whole = RandomSearch(space, seed=3, num_candidates=40, batch_size=4)
    expected = drawn(whole, 40)
    again = RandomSearch(space, seed=3, num_candidates=40, batch_size=3)
    again.replay([row for number, row in enumerate(whole.history[:20]) if number not in lost])
    assert sorted(drawn(again, 40)) == sorted(expected)


def test_more_candidates_continue_the_sequence() -> None:
    few, many = (RandomSearch(NASBench201(), seed=1, num_candidates=count) for count in (15, 45))
    assert drawn(many, 45)[:15] == drawn(few, 15)
