from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from archsearch.cluster.pool.layout import NAMESPACE
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.errors import ConfigurationError, DatasetError
from archsearch.evaluators import GHN, FunctionEvaluator, TabularEvaluator, TrainingEvaluator, datasets
from archsearch.evaluators.proxies import ProxySurrogate
from archsearch.searchers import ArchitectureSearcher, Constraint, GHNRandomSearch, Goals, Objective
from archsearch.searchers.conformance import Loop, SharedPools, TrainedOnceConformance, check_search
from archsearch.searchers.surrogate.rank_sum import rank_sum
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells

POOLS = SharedPools()
CELLS = Cells(4)
CELLS_SCALE = {"blocks": 3, "channels": 4}
STEPS = 6
MODEL: dict[str, Any] = {"hidden": 8, "width": 16, "tile": 4, "batch_size": 16, "evaluation_images": 100}


@pytest.fixture(scope="module", autouse=True)
def pools_end_with_the_tests(shared_ray: None) -> Iterator[None]:
    with POOLS:
        yield


def make(space: SearchSpace, seed: int, cache: Path, **settings: Any) -> GHNRandomSearch:
    """Return a searcher whose hypernetwork is tiny; those of one space share a pool."""
    scale = CELLS_SCALE if isinstance(space, Cells) else {"channels": 2, "cells_per_stage": 1}
    small = {"initial": 3, "rank_candidates": 40, "explore": 0.0, "steps": STEPS, "scale": scale, "model": MODEL, "cache": cache}
    return GHNRandomSearch(space, seed, **{**small, "rank_by": "loss", "pool": POOLS.name_for(space), **settings})


def score(architecture: Architecture) -> float:
    """Return a made-up score: more convolutions are better."""
    return min(1.0, str(architecture).count("conv") / 20)


def found(seed: int, cache: Path, at_once: int = 2, **settings: Any) -> Loop:
    return Loop(make(CELLS, seed, cache, num_candidates=15, deterministic=True, **settings), score).run(at_once=at_once)


@pytest.mark.long
class TestConformance(TrainedOnceConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **settings)


@pytest.mark.slow
def test_the_best_by_generated_weights_are_evaluated_best_first(cache: Path) -> None:
    searcher = make(CELLS, 0, cache, num_candidates=43, deterministic=True)
    candidates = Loop(searcher, score).run().candidates
    check_search(searcher, candidates, 43)
    ghn = GHN(CELLS, "digits", 0, scale=CELLS_SCALE, **MODEL).fit(STEPS)
    expected = [-each.metrics["valid_loss"] for each in ghn.evaluate([CELLS.parse(text) for text in candidates[3:]])]
    assert max(expected) > min(expected) + 0.05
    # Generated alone or with others, weights differ by rounding errors.
    assert np.diff(expected).max() < 1e-3
    assert searcher.figures["surrogate/candidates_ranked"] == 40


@pytest.mark.slow
def test_the_paper_ranks_by_accuracy(cache: Path) -> None:
    searcher = make(CELLS, 0, cache, num_candidates=43, deterministic=True, rank_by="score")
    candidates = Loop(searcher, score).run().candidates
    ghn = GHN(CELLS, "digits", 0, scale=CELLS_SCALE, **MODEL).fit(STEPS)
    expected = [each.score for each in ghn.evaluate([CELLS.parse(text) for text in candidates[3:]])]
    # An image in a hundred may be classified otherwise.
    assert np.diff(expected).max() < 0.011


@pytest.mark.slow
def test_ranks_of_training_free_scores_are_added(cache: Path) -> None:
    searcher = make(CELLS, 0, cache, num_candidates=43, deterministic=True, rank_by=None, pool=None)
    searcher.open(1.0)
    candidates = [CELLS.parse(text) for text in Loop(searcher, score).run().candidates]
    searcher.close()
    ghn = GHN(CELLS, "digits", 0, scale=CELLS_SCALE, **MODEL).fit(STEPS)
    losses = np.array([-each.metrics["valid_loss"] for each in ghn.evaluate(candidates)])
    free = ProxySurrogate(CELLS, ("params", "nwot"), "digits", scale=CELLS_SCALE).evaluate([*map(str, candidates)])
    ranks = rank_sum([losses, free["params"], free["nwot"]])[3:]
    assert np.diff(ranks).max() < 0.05, "equal but for rounding errors of the losses"
    assert set(searcher.agreement) == {"loss", "params", "nwot"}


@pytest.mark.slow
def test_centred_losses_of_few_averaged_images_rank_too(cache: Path) -> None:
    settings = {"rank_by": "centred", "rank_size": 4, "rank_images": 50, "pool": None}
    searcher = make(CELLS, 0, cache, num_candidates=43, deterministic=True, **settings)
    searcher.open(1.0)
    candidates = [CELLS.parse(text) for text in Loop(searcher, score).run().candidates]
    searcher.close()
    model = {**MODEL, "evaluation_images": 50}
    ghn = GHN(CELLS, "digits", 0, scale=CELLS_SCALE, image_size=4, **model).fit(STEPS)
    assert ghn.images.input_shape == (1, 4, 4) and sum(map(len, ghn.batches())) == 50
    expected = [-each.metrics["centred_loss"] for each in ghn.evaluate(candidates[3:])]
    assert np.diff(expected).max() < 1e-3, "equal but for rounding errors"


@pytest.mark.slow
def test_mutations_of_the_best_are_ranked_with_the_others(cache: Path) -> None:
    plain = make(CELLS, 0, cache, num_candidates=63, deterministic=True)
    searcher = make(CELLS, 0, cache, num_candidates=63, deterministic=True, mutants=20)
    drawn = Loop(plain, score).run().candidates[:43]
    candidates = Loop(searcher, score).run(at_once=2).candidates
    check_search(searcher, candidates, 63)
    assert searcher.figures["surrogate/candidates_ranked"] == 60
    assert set(drawn) < set(candidates)
    ghn = GHN(CELLS, "digits", 0, scale=CELLS_SCALE, **MODEL).fit(STEPS)
    expected = [-each.metrics["valid_loss"] for each in ghn.evaluate([CELLS.parse(text) for text in candidates[3:]])]
    assert np.diff(expected).max() < 1e-3
    again = make(CELLS, 0, cache, num_candidates=63, deterministic=True, mutants=20)
    assert Loop(again, score).run(at_once=4).candidates == candidates


def test_figures_compare_those_ranked_first_with_those_at_random(cache: Path) -> None:
    loop = found(0, cache)
    scores = [score(CELLS.parse(text)) for text in loop.candidates]
    figures = loop.searcher.figures
    assert figures["surrogate/random_mean_score"] == pytest.approx(np.mean(scores[:3]))
    assert figures["surrogate/top_mean_score"] == pytest.approx(np.mean(scores[3:]))
    keys = [CELLS.key(CELLS.parse(text)) for text in loop.candidates]
    assert loop.searcher.groups == {"ranked first": set(keys[3:]), "random": set(keys[:3])}
    assert -1.0 <= figures["surrogate/trust_tau"] <= 1.0
    assert len(loop.searcher.trust) == 15, "the random ones were ranked too"  # type: ignore[attr-defined]
    assert figures["surrogate/fitting_seconds"] > 0.0 and figures["surrogate/ranking_seconds"] > 0.0


@pytest.mark.slow
def test_a_seed_gives_the_same_candidates_with_one_worker_or_four_and_one_actor_or_two(cache: Path) -> None:
    whole = found(3, cache, at_once=1).candidates
    assert found(3, cache, at_once=4, explore=0.3).candidates != whole
    assert found(4, cache).candidates != whole
    searcher = make(CELLS, 3, cache, num_candidates=15, deterministic=True, pool=None, actors=2)
    assert searcher.reserved_cpus == 2.0
    searcher.open(1.0)
    assert Loop(searcher, score).run(at_once=4).candidates == whole
    searcher.close()


@pytest.mark.slow
def test_a_killed_actor_continues_the_training(tmp_path: Path, cache: Path) -> None:
    name = f"killed-{uuid.uuid4().hex[:6]}"
    searcher = make(CELLS, 3, tmp_path, num_candidates=15, deterministic=True, pool=name)
    searcher.open()
    ray.kill(ray.get_actor(f"{name}-0", namespace=NAMESPACE), no_restart=False)
    loop = Loop(searcher, score).run(at_once=2)
    pool = ModelPool.attach(name)
    pool.shutdown()
    assert loop.candidates == found(3, cache).candidates
    assert searcher.figures["surrogate/stages"] == 1


@pytest.mark.parametrize("batches", [2, 8])
def test_an_interrupted_search_continues_exactly(batches: int, cache: Path, tmp_path: Path) -> None:
    settings = {"num_candidates": 15, "deterministic": True}
    whole = found(3, cache).candidates
    first, again = (Loop(make(CELLS, 3, cache, **settings), score) for _ in range(2))
    first.run(at_once=2, batches=batches)
    copy = Loop(pickle.loads(pickle.dumps(first.searcher)), score)
    copy.take_over(first)
    first.searcher.save(str(tmp_path / "state"))
    again.searcher.restore(str(tmp_path / "state"))
    again.take_over(first)
    assert again.run(at_once=2).candidates == whole
    assert copy.run(at_once=2).candidates == whole


def test_objectives_and_constraints(cache: Path) -> None:
    costs = partial(_macs, CELLS)
    values = sorted(costs(CELLS.sample(np.random.default_rng(seed)))["macs"] for seed in range(50))
    goals = Goals(
        (Objective("score"), Objective("macs", maximize=False)), (Constraint("macs", "<=", values[25]),), costs, ("macs",)
    )
    loop = found(0, cache, goals=goals)
    check_search(loop.searcher, loop.candidates, 15)
    assert all(costs(CELLS.parse(text))["macs"] <= values[25] for text in loop.candidates)


def _macs(space: SearchSpace, architecture: Architecture) -> dict[str, float]:
    return {"macs": float(space.cost(architecture, (1, 8, 8), 10, **CELLS_SCALE).macs)}


def test_too_few_candidates_are_drawn_at_random_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    GHNRandomSearch(CELLS, 0, num_candidates=5, initial=5)
    assert "all 5 candidates are drawn at random" in caplog.text


def test_images_size_and_objective_are_those_of_the_evaluator_unless_they_are_given() -> None:
    evaluator = TrainingEvaluator(
        Anytime((2, 2)), "digits", scale={"channels": 4}, objective="anytime", max_budget=1e6, root="/elsewhere"
    )
    assert GHNRandomSearch.options_for(evaluator, {})["candidate_epochs"] == evaluator.max_fidelity
    options = GHNRandomSearch.options_for(evaluator, {"steps": 7, "model": {"hidden": 8}})
    assert options.pop("model") == {"objective": "anytime", "max_budget": 1e6, "hidden": 8}
    assert options == {"dataset": "digits", "root": "/elsewhere", "scale": {"channels": 4}, "steps": 7}
    assert GHNRandomSearch(evaluator.space, 0, **options, model={"objective": "anytime"}).rank_by == "score"
    assert GHNRandomSearch(evaluator.space, 0).rank_by == "loss+params+nwot"
    assert GHNRandomSearch.options_for(evaluator, {"dataset": "cifar10"}) == {"dataset": "cifar10"}
    table = TabularEvaluator.embedded("digits201")
    assert GHNRandomSearch.options_for(table, {"steps": 7}) == {"steps": 7}
    chosen = TrainingEvaluator(CELLS, "digits", flip=False, class_weights=True, epochs=1)
    assert GHNRandomSearch.options_for(chosen, {})["model"] == {"flip": False, "class_weights": True}
    assert "model" not in GHNRandomSearch.options_for(TrainingEvaluator(CELLS, "digits", epochs=1), {})


PAPER: dict[str, Any] = {
    "preset": "paper",
    "rank_by": None,
    "rank_candidates": 40,
    "initial": None,
    "explore": None,
    "steps": None,
    "training_scale": 0.002,
    "model": {**MODEL, "propagations": 2},
    "pool": None,
}


@pytest.mark.long
class TestPaperConformance(TestConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return make(space, seed, **{**PAPER, **settings})


@pytest.mark.slow
def test_the_paper_evaluates_the_first_by_accuracy_and_no_other(cache: Path) -> None:
    settings: dict[str, Any] = {**PAPER, "num_candidates": 10, "deterministic": True}
    searcher = make(CELLS, 0, cache, **settings)
    loop = Loop(searcher, score).run(at_once=2)
    searcher.close()
    ghn = GHN(CELLS, "digits", 0, preset="paper", scale=CELLS_SCALE, **PAPER["model"])
    ghn.fit(ghn.steps_for(200 * 0.002))
    assert ghn.steps_done == round(0.4 * len(ghn.images.splits.train) / 16)
    assert searcher.figures["surrogate/candidates_ranked"] == 40
    ranked = [each.score for each in ghn.evaluate([CELLS.parse(text) for text in loop.candidates])]
    assert np.diff(ranked).max() < 0.011, "best first, but for an image in a hundred"
    assert searcher.groups == {"ranked first": {CELLS.key(CELLS.parse(text)) for text in loop.candidates}, "random": set()}
    again = make(CELLS, 0, cache, **settings)
    again.replay(searcher.history[:4])
    assert Loop(again, score).run().candidates == loop.candidates[4:], "a search that was stopped continues exactly"
    again.close()


def test_presets_make_searchers_and_tell_how_long_they_train() -> None:
    paper = GHNRandomSearch(CELLS, preset="paper", candidate_epochs=5)
    assert (paper.rank_candidates, paper.rank_by, paper.initial, paper.explore) == (1000, "score", 0, 0.0)
    assert paper.training_length.arguments() == {"epochs": 50.0}, "as many as its ten candidates"
    [note] = paper.notes
    assert "50 epochs" in note and "training_scale=0.25" in note
    default = GHNRandomSearch(CELLS)
    assert (default.rank_candidates, default.rank_by, default.initial, default.explore) == (300, "loss+params+nwot", 5, 0.1)
    assert default.steps == 1500 and default.notes == ()
    given = GHNRandomSearch(CELLS, preset="paper", rank_candidates=9, rank_by="loss", steps=3, initial=2, explore=0.5)
    assert (given.rank_candidates, given.rank_by, given.steps, given.initial, given.explore) == (9, "loss", 3, 2, 0.5)


def test_a_run_that_gets_more_candidates_keeps_its_hypernetwork() -> None:
    for options in ({"preset": "paper"}, {"preset": "paper", "initial": 3}, {"epochs": 7}, {}):
        before = GHNRandomSearch(CELLS, num_candidates=8, candidate_epochs=5, **options)  # type: ignore[arg-type]
        settled = GHNRandomSearch.settled_options(options, 8)
        after = GHNRandomSearch(CELLS, num_candidates=400, candidate_epochs=5, **settled)
        assert (after.initial, after.training_length) == (before.initial, before.training_length), options


def test_images_in_memory_are_refused() -> None:
    evaluator = TrainingEvaluator(CELLS, datasets.load("digits"))
    with pytest.raises(ConfigurationError, match="dataset: expected a dataset with a name"):
        GHNRandomSearch.options_for(evaluator, {})


def constant(model: object, context: object) -> float:
    return 0.5


def test_a_function_that_scores_candidates_must_have_images_or_the_searcher_names_some() -> None:
    with pytest.raises(ConfigurationError, match="the function constant has none with a name. Take gates, gp, ngae"):
        GHNRandomSearch.options_for(FunctionEvaluator(CELLS, constant), {})
    assert GHNRandomSearch.options_for(FunctionEvaluator(CELLS, constant), {"dataset": "digits"}) == {"dataset": "digits"}
    options = GHNRandomSearch.options_for(FunctionEvaluator(CELLS, constant, dataset="digits", scale=CELLS_SCALE), {"steps": 3})
    assert options == {"dataset": "digits", "root": None, "scale": CELLS_SCALE, "steps": 3}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rank_candidates": 0}, "rank_candidates: expected a whole number"),
        ({"steps": 2.5}, "steps: expected a whole number"),
        ({"mutants": -1}, "mutants: expected a whole number"),
        ({"rank_by": "los"}, "rank_by: expected one of .*, loss, .*, score.*; got 'los'. Did you mean 'loss'"),
        ({"chunk_size": True}, "chunk_size: expected a whole number"),
        ({"dataset": np.zeros(3)}, "dataset: expected a string"),
        ({"preset": "papr"}, "preset: expected one of"),
        ({"scale": {"chanels": 4}}, "no setting 'chanels'"),
        ({"model": {"hiden": 4}}, "no setting 'hiden'"),
        ({"model": {"hidden": 0}}, "hidden: expected"),
        ({"rank_size": 0}, "rank_size: expected"),
        ({"rank_images": 1}, "rank_images: expected"),
    ],
)
def test_wrong_settings(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GHNRandomSearch(CELLS, 0, **setting)


def test_an_unknown_dataset() -> None:
    with pytest.raises(DatasetError, match="dataset: expected"):
        GHNRandomSearch(CELLS, 0, dataset="digitz")
