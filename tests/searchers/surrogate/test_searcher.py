from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from archsearch import cluster
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, RandomSearch
from archsearch.searchers.conformance import Loop, SearcherConformance, SurrogateSearcherConformance, check_search
from archsearch.spaces import Architecture, SearchSpace

_FOLDER = Path(__file__).parent.parent
_SPEC = importlib.util.spec_from_file_location("nearest_neighbour", _FOLDER / "nearest_neighbour.py")
assert _SPEC is not None and _SPEC.loader is not None
nearest_neighbour = importlib.util.module_from_spec(_SPEC)
sys.modules["nearest_neighbour"] = nearest_neighbour
_SPEC.loader.exec_module(nearest_neighbour)
ray.cloudpickle.register_pickle_by_value(nearest_neighbour)

POOL = f"neighbours-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module", autouse=True)
def shared_pool(shared_ray: None) -> Iterator[ModelPool]:
    with ModelPool.start(nearest_neighbour.NearestNeighbour, name=POOL, shared=True, cpus=0.1) as pool:
        yield pool
        pool.shutdown()


class TestConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return nearest_neighbour.NeighbourSearcher(space, seed, initial=10, stage_size=5, **settings)


SUITE = SearcherConformance()
SPACE = SUITE.make_space()


def objective(architecture: Architecture) -> float:
    return SUITE.objective(SPACE, architecture)


def make_loop(seed: int = 0, **settings: Any) -> Loop:
    settings = {"num_candidates": 40, "batch_size": 3, "initial": 10, "stage_size": 5, "pool": POOL, **settings}
    return Loop(nearest_neighbour.NeighbourSearcher(SPACE, seed, **settings), objective)


def test_stages_find_more_than_chance() -> None:
    bests = []
    for seed in range(3):
        guided = make_loop(seed, deterministic=True).run().searcher
        chance = RandomSearch(SPACE, seed, num_candidates=40)
        Loop(chance, objective).run()
        bests.append([max(row.evaluation.score for row in searcher.history) for searcher in (guided, chance)])
    guided_mean, chance_mean = np.mean(bests, axis=0)
    assert guided_mean > chance_mean + 0.05


@pytest.mark.parametrize("batches", [3, 12, 23, 30])
def test_an_interrupted_deterministic_search_continues_exactly(batches: int, tmp_path: Path) -> None:
    settings = {"deterministic": True, "batch_size": 1}
    whole = make_loop(**settings).run().candidates
    first, again = make_loop(**settings), make_loop(**settings)
    first.run(at_once=2, batches=batches)
    first.searcher.save(str(tmp_path / "state"))
    again.searcher.restore(str(tmp_path / "state"))
    again.take_over(first)
    again.run(at_once=2)
    assert again.candidates == whole


def test_a_stage_waits_for_all_outcomes_when_deterministic() -> None:
    loop = make_loop(deterministic=True, batch_size=1).run(at_once=10, batches=10)
    assert len(loop.open) >= 9
    assert loop.searcher.suggest("early") is None
    loop.drain()
    assert isinstance(loop.searcher.suggest("late"), dict)


def test_workers_are_kept_busy_with_one_candidate_each_while_outcomes_are_open() -> None:
    loop = make_loop(batch_size=1)
    loop.searcher.workers = 3
    loop.run(at_once=10, batches=10)
    extra = [loop.searcher.suggest(f"extra{index}") for index in range(5)]
    assert [isinstance(suggestion, dict) for suggestion in extra] == [True, True, True, False, False]


def test_predictions_made_before_are_compared_with_outcomes() -> None:
    loop = make_loop(deterministic=True).run()
    searcher = loop.searcher
    assert isinstance(searcher, nearest_neighbour.NeighbourSearcher)
    assert len(searcher.trust) == 40 - 10
    figures = searcher.figures
    assert figures["surrogate/stages"] == 6
    assert -1.0 <= figures["surrogate/trust_tau"] <= 1.0
    assert figures["surrogate/fitting_seconds"] > 0.0


def test_exploration_mixes_random_candidates_in() -> None:
    loop = make_loop(deterministic=True, explore=0.5).run()
    check_search(loop.searcher, loop.candidates, 40)
    assert 3 <= len(loop.searcher.trust) <= 27  # type: ignore[attr-defined]


def test_a_failed_fit_is_logged_and_random_candidates_follow(caplog: pytest.LogCaptureFixture) -> None:
    loop = make_loop(deterministic=True)
    loop.score = lambda architecture: 1.5 + len(str(architecture))
    loop.run()
    check_search(loop.searcher, loop.candidates, 40)
    assert "a score above 1" in caplog.text


def test_equal_outcomes_are_not_fitted(caplog: pytest.LogCaptureFixture) -> None:
    loop = make_loop(deterministic=True)
    loop.score = lambda architecture: 0.5
    loop.run()
    check_search(loop.searcher, loop.candidates, 40)
    assert "too few or all equal" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"), [("initial", 0), ("stage_size", -1), ("actors", 1.5), ("threads", True), ("explore", 1.0)]
)
def test_settings_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected"):
        nearest_neighbour.NeighbourSearcher(SPACE, 0, **{name: value})


def test_a_private_pool_ends_with_the_search() -> None:
    searcher = nearest_neighbour.NeighbourSearcher(SPACE, 0, num_candidates=20, initial=10, stage_size=5)
    assert searcher.reserved_cpus == 1.0
    searcher.open(0.5)
    loop = Loop(searcher, objective).run()
    check_search(searcher, loop.candidates, 20)
    name = searcher._pool.name
    searcher.close()
    with pytest.raises(cluster.PoolError, match="no model pool"):
        ModelPool.attach(name)


def test_what_was_learned_from_others_replaces_the_random_stage() -> None:
    suite = TestConformance()
    loop = make_loop(deterministic=True, num_candidates=5)
    assert loop.searcher.learn(suite.known_evaluations(12)) == 12
    loop.run()
    assert loop.searcher.figures["surrogate/stages"] == 1.0
    drawn = make_loop(deterministic=True, num_candidates=5).run()
    assert np.mean([objective(SPACE.parse(text)) for text in loop.candidates]) > 0.1 + np.mean(
        [objective(SPACE.parse(text)) for text in drawn.candidates]
    ), "the first candidates are those that the surrogate ranks highest"


def test_starts_and_what_was_learned_shorten_the_random_stage() -> None:
    suite = TestConformance()
    loop = make_loop(deterministic=True, num_candidates=12)
    loop.searcher.start_with(suite.known_architectures(3))
    assert loop.searcher.learn(suite.known_evaluations(8)) == 5, "the first three are evaluated"
    loop.run(batches=1)
    assert loop.candidates == [str(each) for each in suite.known_architectures(3)]
    loop.run(batches=2).drain()
    assert loop.searcher.figures["surrogate/stages"] == 0.0
    loop.run()
    check_search(loop.searcher, loop.candidates, 12)
    assert loop.searcher.figures["surrogate/stages"] == 2.0, "after 3 starts and 2 random ones, 7 in stages of 5"


def scheduled_loop(**settings: Any) -> Loop:
    """Return a loop in which half of the candidates are stopped after a step."""
    loop = make_loop(num_candidates=60, batch_size=1, deterministic=True, **settings)
    loop.rungs, loop.stops_at = (1,), lambda text: 1 if objective(SPACE.parse(text)) < 0.5 else None
    return loop


def test_stages_grow_under_a_scheduler() -> None:
    fits = {}
    for name, loop in (("all complete", make_loop(num_candidates=60, deterministic=True)), ("scheduled", scheduled_loop())):
        loop.run()
        check_search(loop.searcher, loop.candidates, 60)
        fits[name] = loop.searcher.figures["surrogate/stages"]  # type: ignore[attr-defined]
    assert fits == {"all complete": 10, "scheduled": 8}  # of 5; of 5 to 30 candidates, then 6, 7, 8 and the rest


@pytest.mark.parametrize("batches", [36, 40])
def test_an_interrupted_search_under_a_scheduler_continues_in_the_same_stage(batches: int, tmp_path: Path) -> None:
    whole = scheduled_loop().run().candidates
    first, again = scheduled_loop(), scheduled_loop()
    first.run(at_once=2, batches=batches)
    first.searcher.save(str(tmp_path / "state"))
    again.searcher.restore(str(tmp_path / "state"))
    again.take_over(first)
    again.run(at_once=2)
    assert again.candidates == whole
