"""Any Ray Tune search algorithm can choose genes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import optuna
import pytest
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter, Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.sample import Categorical

from archsearch.errors import ConfigurationError
from archsearch.searchers import TuneAlgorithm, tune_domains
from archsearch.searchers.conformance import Loop, SearcherConformance, check_search
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
A, B, C = (
    SPACE.parse(f"|{operator}~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|")
    for operator in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
)
# As A: a skip connection and the convolution change places along the path.
SAME_AS_A = SPACE.parse("|skip_connect~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|skip_connect~2|")


class Scripted(Searcher):
    """Proposes what it is given, in order, and remembers what it is told."""

    def __init__(self, script: Sequence[Any]) -> None:
        super().__init__(metric="score", mode="max")
        self.script, self.place = list(script), 0
        self.told: dict[str, float | None] = {}

    def suggest(self, trial_id: str) -> Any:
        if self.place >= len(self.script):
            return Searcher.FINISHED
        architecture = self.script[self.place]
        self.place += 1
        return None if architecture is None else SPACE.params(architecture)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        assert trial_id not in self.told, "told twice"
        assert error == (result is None)
        self.told[trial_id] = result["score"] if result else None


def _given(algorithm: Searcher, domains: dict[str, Any], seed: int) -> Searcher:
    return algorithm


def scores_of(values: dict[Any, float]) -> Any:
    return lambda architecture: {SPACE.key(known): value for known, value in values.items()}[SPACE.key(architecture)]


def test_domains_are_the_choices_of_the_space() -> None:
    domains = tune_domains(SPACE)
    assert list(domains) == list(SPACE.choices)
    assert all(isinstance(domain, Categorical) for domain in domains.values())
    assert {name: domain.categories for name, domain in domains.items()} == {n: list(v) for n, v in SPACE.choices.items()}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_algorithm_is_told_the_score_of_each_proposal_once_duplicates_too(batch_size: int) -> None:
    assert SPACE.key(A) == SPACE.key(SAME_AS_A)
    algorithm = Scripted([A, A, SAME_AS_A, B, A, C, B])
    searcher = TuneAlgorithm(SPACE, algorithm=lambda domains, seed: algorithm, num_candidates=3, batch_size=batch_size)
    loop = Loop(searcher, scores_of({A: 0.1, B: 0.2, C: 0.3})).run()
    assert loop.candidates == [str(A), str(B), str(C)]
    proposed = [algorithm.script[int(name)] for name in sorted(algorithm.told)]
    assert len(algorithm.told) == algorithm.place, "each proposal was told its outcome"
    expected = scores_of({A: 0.1, B: 0.2, C: 0.3})
    assert [algorithm.told[name] for name in sorted(algorithm.told)] == [expected(architecture) for architecture in proposed]


def test_algorithm_is_told_of_failures() -> None:
    algorithm = Scripted([A, B, A, C])
    searcher = TuneAlgorithm(SPACE, algorithm=lambda domains, seed: algorithm, num_candidates=3, batch_size=1)
    loop = Loop(searcher, scores_of({B: 0.2, C: 0.3}))
    loop.evaluation_fails = lambda text: text == str(A)
    loop.run()
    assert algorithm.told == {"00000000": None, "00000001": 0.2, "00000002": None, "00000003": 0.3}


def test_algorithm_that_has_run_dry_is_followed_by_random_draws() -> None:
    searcher = TuneAlgorithm(SPACE, algorithm=lambda domains, seed: Scripted([A, None, B]), num_candidates=12, batch_size=5)
    loop = Loop(searcher, lambda architecture: 0.5).run()
    assert loop.candidates[:2] == [str(A), str(B)]
    check_search(searcher, loop.candidates, 12)


def test_restored_search_tells_the_outcomes_to_algorithms_that_take_them() -> None:
    class Taking(Scripted):
        def add_evaluated_point(self, parameters: dict[str, Any], value: float, *others: Any) -> None:
            self.told[str(SPACE.from_params(parameters))] = value

    first = TuneAlgorithm(SPACE, algorithm=lambda domains, seed: Scripted([A, B]), num_candidates=2, batch_size=1)
    Loop(first, scores_of({A: 0.1, B: 0.2})).run()
    taking = Taking([A, C])
    for algorithm in (taking, Scripted([A, C])):
        factory = partial(_given, algorithm)
        again = TuneAlgorithm(SPACE, algorithm=factory, num_candidates=3, batch_size=1)
        again.replay(list(first.history))
        assert Loop(again, scores_of({C: 0.3})).run().candidates == [str(C)]
    assert taking.told == {str(A): 0.1, str(B): 0.2, "00000000": 0.1, "00000001": 0.3}


@pytest.mark.parametrize(
    "factory", [lambda domains, seed: "optuna", lambda domains, seed: BasicVariantGenerator(), lambda domains, seed: None]
)
def test_factory_of_something_else_is_refused(factory: Any) -> None:
    with pytest.raises(ConfigurationError, match="algorithm: expected a factory of Ray Tune Searchers; it gave"):
        TuneAlgorithm(SPACE, algorithm=factory)


def test_optuna_trials_all_end() -> None:
    ended: list[str] = []

    class Noting(optuna.samplers.TPESampler):
        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            ended.append(state.name)
            super().after_trial(study, trial, state, values)

    made: list[OptunaSearch] = []

    def factory(domains: dict[str, Any], seed: int) -> Searcher:
        space = OptunaSearch.convert_search_space(domains)
        made.append(OptunaSearch(space, metric="score", mode="max", sampler=Noting(seed=seed)))
        return made[0]

    searcher = TuneAlgorithm(SPACE, algorithm=factory, num_candidates=60, batch_size=5)
    loop = Loop(searcher, lambda architecture: 0.5).run()
    check_search(searcher, loop.candidates, 60)
    assert len(ended) >= 60
    assert set(ended) == {"COMPLETE"}


def concurrency_limited(domains: dict[str, Any], seed: int) -> Searcher:
    space = OptunaSearch.convert_search_space(domains)
    search = OptunaSearch(space, metric="score", mode="max", sampler=optuna.samplers.RandomSampler(seed=seed))
    return ConcurrencyLimiter(search, max_concurrent=2)


class LimitedSuite(SearcherConformance):
    """Ray Tune's own wrapper around another algorithm, which answers None when it waits."""

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> TuneAlgorithm:
        return TuneAlgorithm(space, seed, algorithm=concurrency_limited, **settings)


@pytest.mark.parametrize(
    "test",
    [
        "test_candidates_are_unique_and_counted",
        "test_deterministic_proposals_do_not_depend_on_the_order_of_arrival",
        "test_failed_trials_do_not_stop_the_search",
        "test_failed_evaluations_do_not_stop_the_search",
        "test_known_candidates_are_answered_without_a_trial",
        "test_pickled_search_is_continued",
    ],
)
def test_algorithm_that_waits_passes_the_suite(test: str) -> None:
    getattr(LimitedSuite(), test)()
