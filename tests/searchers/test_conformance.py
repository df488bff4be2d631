"""All built-in searchers pass the suite; the suite fails what is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archsearch import searchers
from archsearch.searchers import ArchitectureSearcher, RandomSearch
from archsearch.searchers.conformance import SearcherConformance
from archsearch.spaces import Architecture, SearchSpace


class TestBuiltInSearchers(SearcherConformance):
    # Those with a surrogate need a pool of actors; their own tests run the suite.
    @pytest.fixture(autouse=True, params=["evolution", "optuna", "random"])
    def choose_searcher(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param
        self.learns = self.name != "random"
        if self.name == "optuna":
            # Its sampler's random numbers are not part of the state, and it repeats itself hundreds of times in a small space.
            self.restores_exactly, self.alternatives = False, 2

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return searchers.get(self.name)(space, seed, **settings)


class Broken(SearcherConformance):
    searcher: type[ArchitectureSearcher]

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return self.searcher(space, seed, **settings)


class Seedless(RandomSearch):
    _calls = 0

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        self._calls += 1
        return super().propose(count, np.random.default_rng(self._calls))


class HashDependent(RandomSearch):
    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return super().propose(count, np.random.default_rng(abs(hash(f"{self.seed} {self.num_proposed}"))))


class Impatient(RandomSearch):
    """Uses outcomes as they arrive, whatever `deterministic` says."""

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        return super().propose(count, np.random.default_rng([self.seed, self.num_proposed, len(self.history)]))


class Forgetful(RandomSearch):
    calls = 0

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        self.calls += 1
        return super().propose(count, np.random.default_rng([self.seed, self.num_proposed, self.calls]))


class Repeating(RandomSearch):
    def was_proposed(self, architecture: Architecture) -> bool:
        return False

    def suggest(self, trial_id: str) -> Any:
        suggestion = super().suggest(trial_id)
        if isinstance(suggestion, dict) and len(suggestion["candidates"]) > 1:
            suggestion["candidates"][0] = suggestion["candidates"][1]
        return suggestion


class Idle(RandomSearch):
    def suggest(self, trial_id: str) -> Any:
        return None if not self.history else super().suggest(trial_id)


class Sampler(RandomSearch):
    """Gives up when it draws what it drew before."""

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        drawn = super().propose(count, rng)
        self.exhausted = self.exhausted or any(self.was_proposed(architecture) for architecture in drawn)
        return drawn


class Brittle(RandomSearch):
    def observe(self, observations: Any) -> None:
        assert all(observation.evaluation.ok for observation in observations), "no score"


class BrokenHashDependent(Broken):
    searcher = HashDependent


@pytest.mark.parametrize(
    ("broken", "test", "message"),
    [
        (Seedless, "test_seeds_decide", "another seed gives other proposals"),
        (Impatient, "test_deterministic_proposals_do_not_depend_on_the_order_of_arrival", "give other proposals"),
        (Repeating, "test_candidates_are_unique_and_counted", "proposed twice"),
        (Idle, "test_several_trials_may_be_open", "the searcher waits though no trial is open"),
        (Sampler, "test_small_space_is_proposed_as_a_whole", "structures of the space are left out"),
        (Brittle, "test_failed_trials_do_not_stop_the_search", "no score"),
        (Brittle, "test_failed_evaluations_do_not_stop_the_search", "no score"),
    ],
)
def test_suite_finds_what_is_broken(broken: type[ArchitectureSearcher], test: str, message: str) -> None:
    suite = Broken()
    suite.searcher = broken
    with pytest.raises(AssertionError, match=message):
        getattr(suite, test)()


def test_suite_finds_lost_state(tmp_path: Path) -> None:
    suite = Broken()
    suite.searcher = Forgetful
    with pytest.raises(AssertionError, match="a restored searcher proposes what the saved one would have"):
        suite.test_saved_search_is_continued(tmp_path)


def test_suite_finds_what_depends_on_hashes() -> None:
    with pytest.raises(AssertionError, match="a fresh process proposes other candidates"):
        BrokenHashDependent().test_fresh_process_proposes_the_same()


def test_suite_asks_for_a_searcher() -> None:
    with pytest.raises(NotImplementedError, match="make_searcher"):
        SearcherConformance().test_seeds_decide()
