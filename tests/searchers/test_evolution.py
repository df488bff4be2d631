"""Regularized evolution: founders, tournaments, age."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation
from archsearch.searchers import ArchitectureSearcher, Observation, RandomSearch, RegularizedEvolution
from archsearch.searchers.conformance import Loop, SearcherConformance
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201


class Uniform(ArchitectureSearcher):
    """Draws each batch from the space."""

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return [self.space.sample(rng) for _ in range(count)]


class RecordingSpace(NASBench201):
    """Remembers what was mutated."""

    def __init__(self) -> None:
        self.parents: list[Architecture] = []

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        self.parents.append(architecture)
        return super().mutate(architecture, rng)


def outcomes(space: NASBench201, scores: list[float], seed: int = 0) -> list[Observation]:
    """Return one outcome of a random, distinct architecture for each score."""
    drawn: dict[str, Architecture] = {}
    rng = np.random.default_rng(seed)
    while len(drawn) < len(scores):
        architecture = space.sample(rng)
        drawn.setdefault(space.key(architecture), architecture)
    return [
        Observation(number, 0, Evaluation(architecture, key, score, error="failed" if math.isnan(score) else None), False)
        for number, ((key, architecture), score) in enumerate(zip(drawn.items(), scores, strict=True))
    ]


def parents_of(searcher: RegularizedEvolution, children: int) -> list[Architecture]:
    """Return the parent of each child; further mutations of one child are left out."""
    assert isinstance(searcher.space, RecordingSpace)
    parents, rng = [], np.random.default_rng(1)
    for _ in range(children):
        searcher.space.parents.clear()
        searcher.propose(1, rng)
        parents.append(searcher.space.parents[0])
    return parents


def test_founders_are_random_draws() -> None:
    space = RecordingSpace()
    settings: dict[str, Any] = {"num_candidates": 20, "batch_size": 7}
    founders = Loop(RegularizedEvolution(space, 3, population_size=20, **settings), lambda architecture: 0.5).run()
    assert space.parents == [], "nothing is mutated before the population is full"
    drawn = Loop(Uniform(space, 3, **settings), lambda architecture: 0.5).run()
    assert founders.candidates[:14] == drawn.candidates[:14]


def test_children_differ_from_their_parent_in_one_gene() -> None:
    space = RecordingSpace()
    searcher = RegularizedEvolution(space, population_size=10, tournament_size=4)
    searcher.replay(outcomes(space, [0.1 * index for index in range(10)]))
    rng = np.random.default_rng(0)
    for _ in range(50):
        space.parents.clear()
        [child] = searcher.propose(1, rng)
        pairs = zip(space.genotype(space.parents[-1]), space.genotype(child), strict=True)
        differing = sum(before != after for before, after in pairs)
        assert differing == 1


@pytest.mark.parametrize(("population", "tournament"), [(10, 1), (10, 3), (6, 6)])
def test_parent_is_the_best_of_the_members_drawn(population: int, tournament: int) -> None:
    space = RecordingSpace()
    searcher = RegularizedEvolution(space, population_size=population, tournament_size=tournament)
    observations = outcomes(space, [0.9 - 0.05 * rank for rank in range(population)])
    searcher.replay(observations)
    ranks = {observation.evaluation.architecture: rank for rank, observation in enumerate(observations)}
    found = np.bincount([ranks[parent] for parent in parents_of(searcher, 2000)], minlength=population)
    # The member of rank r (from 0) wins when it is drawn together with worse ones only.
    chances = [math.comb(population - 1 - rank, tournament - 1) / math.comb(population, tournament) for rank in range(population)]
    possible = np.array(chances) > 0
    assert found[~possible].sum() == 0
    if possible.sum() > 1:
        assert stats.chisquare(found[possible], 2000 * np.array(chances)[possible]).pvalue > 1e-3


def test_members_leave_when_enough_newer_ones_have_come() -> None:
    space = RecordingSpace()
    observations = outcomes(space, [0.9, 0.1, 0.2, 0.3, 0.25, 0.05, 0.01])
    best = []
    for arrived in range(3, len(observations) + 1):
        searcher = RegularizedEvolution(space, population_size=3, tournament_size=3)
        searcher.replay(observations[:arrived])
        best += parents_of(searcher, 1)
    scores = {observation.evaluation.architecture: observation.evaluation.score for observation in observations}
    assert [scores[architecture] for architecture in best] == [0.9, 0.3, 0.3, 0.3, 0.25]


def test_failed_candidates_have_no_children() -> None:
    space = RecordingSpace()
    searcher = RegularizedEvolution(space, population_size=4, tournament_size=1)
    observations = outcomes(space, [0.5, math.nan, 0.4, math.nan])
    searcher.replay(observations)
    fertile = {observation.evaluation.architecture for observation in observations if observation.evaluation.ok}
    assert set(parents_of(searcher, 40)) == fertile


def test_structures_that_were_proposed_are_mutated_further() -> None:
    space = NASBench201()
    searcher = RegularizedEvolution(space, population_size=1, tournament_size=1)
    center = space.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|nor_conv_3x3~0|nor_conv_1x1~1|avg_pool_3x3~2|")
    genotype = space.genotype(center)
    neighbours = [(*genotype[:gene], other, *genotype[gene + 1 :]) for gene in range(6) for other in range(5)]
    known = {space.key(space.from_genotype(genes)): space.from_genotype(genes) for genes in [genotype, *neighbours]}
    searcher.replay(
        [Observation(0, 0, Evaluation(center, space.key(center), 0.5), False)]
        + [
            Observation(0, 1 + place, Evaluation(architecture, key, math.nan, error="failed"), False)
            for place, (key, architecture) in enumerate(known.items())
            if architecture != center
        ]
    )
    children = searcher.propose(20, np.random.default_rng(0))
    assert not {space.key(child) for child in children} & set(known), "each neighbour was proposed, so children go further"


def test_beats_random_search() -> None:
    suite, space = SearcherConformance(), NASBench201()

    def mean_of_best(searcher: type[RandomSearch] | type[RegularizedEvolution]) -> float:
        best = []
        for seed in range(10):
            found = searcher(space, seed, num_candidates=100, batch_size=2)
            Loop(found, lambda architecture: suite.objective(space, architecture)).run()
            best.append(max(row.evaluation.score for row in found.history))
        return float(np.mean(best))

    assert mean_of_best(RegularizedEvolution) > mean_of_best(RandomSearch) + 0.05


@pytest.mark.parametrize(("population", "tournament"), [(5, 6), (0, 0), (5, 0), (5, -1)])
def test_wrong_sizes_are_refused(population: int, tournament: int) -> None:
    with pytest.raises(ConfigurationError, match="tournament_size: expected 1 <= tournament_size <= population_size"):
        RegularizedEvolution(NASBench201(), population_size=population, tournament_size=tournament)


def test_batches_are_at_most_half_a_population() -> None:
    searcher = RegularizedEvolution(NASBench201(), population_size=8, tournament_size=2, num_candidates=100)
    loop = Loop(searcher, lambda architecture: 0.5).run()
    assert max(len(suggestion["candidates"]) for suggestion in loop.suggestions) == 4


def test_outcomes_of_others_are_a_first_population() -> None:
    space = RecordingSpace()
    known = [observation.evaluation for observation in outcomes(space, [0.1, 0.9, math.nan, 0.5, 0.3, 0.7], seed=4)]
    searcher = RegularizedEvolution(space, 3, population_size=4, tournament_size=4, num_candidates=6, batch_size=1)
    assert searcher.learn(known) == 5
    assert [member.values for member in searcher._population] == [(0.3,), (0.5,), (0.7,), (0.9,)], "the best are kept"
    assert parents_of(searcher, 3) == [known[1].architecture] * 3, "nothing is drawn at random"


def test_starts_are_part_of_the_first_population() -> None:
    space = RecordingSpace()
    starts = [observation.evaluation.architecture for observation in outcomes(space, [0.0] * 3, seed=4)]
    searcher = RegularizedEvolution(space, 3, population_size=5, tournament_size=5, num_candidates=9, batch_size=1)
    searcher.start_with(starts)
    loop = Loop(searcher, lambda architecture: 1.0 if architecture == starts[1] else 0.5).run(batches=6)
    assert loop.candidates[:3] == [str(each) for each in starts]
    assert space.parents[0] == starts[1], "two more were drawn, then the best was mutated"


def in_part(observation: Observation, fidelity: int, score: float) -> Observation:
    return replace(observation, evaluation=replace(observation.evaluation, fidelity=fidelity, score=score))


def test_complete_candidates_are_parents_before_stopped_ones_with_a_higher_score() -> None:
    space = RecordingSpace()
    searcher = RegularizedEvolution(space, population_size=4, tournament_size=4)
    found = outcomes(space, [0.2, 0.3, 0.9, 0.8])
    searcher.replay([found[0], found[1], in_part(found[2], 4, 0.9), in_part(found[3], 12, 0.8)])
    assert parents_of(searcher, 3) == [found[1].evaluation.architecture] * 3
    stopped = RegularizedEvolution(space, population_size=2, tournament_size=2)
    stopped.replay([in_part(found[2], 4, 0.9), in_part(found[3], 12, 0.8)])
    assert parents_of(stopped, 3) == [found[3].evaluation.architecture] * 3, "more steps are better than a higher score"


def test_a_candidate_is_in_the_population_from_its_first_partial_score_and_once() -> None:
    space = RecordingSpace()
    searcher = RegularizedEvolution(space, population_size=3, tournament_size=3)
    first, second, third, fourth = outcomes(space, [0.5, 0.6, 0.7, 0.1])
    searcher.replay([second], [(0, in_part(first, 1, 0.1)), (1, in_part(third, 1, 0.4)), (1, in_part(first, 2, 0.2))])
    assert [(member.fidelity, member.values) for member in searcher._population] == [(None, (0.6,)), (1, (0.4,)), (2, (0.2,))]
    searcher.observe([first, fourth])
    assert [(member.fidelity, member.values) for member in searcher._population] == [(1, (0.4,)), (None, (0.5,)), (None, (0.1,))]
    searcher.observe([replace(third, evaluation=replace(third.evaluation, score=math.nan, error="diverged"))])
    assert len(searcher._population) == 2, "a candidate that fails later leaves"
