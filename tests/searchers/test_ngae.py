from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators import TabularEvaluator
from archsearch.searchers import ArchitectureSearcher, NGAEAscent, RandomSearch, goals_for
from archsearch.searchers.conformance import Loop, SharedPools, SurrogateSearcherConformance, check_search
from archsearch.searchers.ngae import NGAESurrogate, fractions, normal_quantiles, ranks
from archsearch.spaces import SearchSpace

STAGES: dict[str, Any] = {"initial": 10, "stage_size": 5}
SMALL: dict[str, Any] = {**STAGES, "unlabelled": 30, "epochs": 1, "warm_epochs": 1, "starts": 30, "steps": 5}


@pytest.fixture(scope="module")
def make(pools: SharedPools) -> Callable[..., NGAEAscent]:
    """Makes searchers whose stages are short; those of one space share a pool."""

    def make(space: SearchSpace, seed: int, **settings: Any) -> NGAEAscent:
        return NGAEAscent(space, seed, **{**SMALL, "pool": pools.name_for(space), **settings})

    return make


@pytest.mark.long
class TestConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return NGAEAscent(space, seed, **SMALL, **settings)


@pytest.fixture(scope="module")
def table() -> TabularEvaluator:
    return TabularEvaluator.embedded("digits201")


def search(searcher: ArchitectureSearcher, table: TabularEvaluator) -> Loop:
    return Loop(searcher, lambda architecture: table.evaluate([architecture])[0].score).run(at_once=2)


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.slow
def test_it_finds_better_cells_than_chance(table: TabularEvaluator) -> None:
    settings: dict[str, Any] = {"num_candidates": 60, "deterministic": True, "batch_size": 10}
    stages: dict[str, Any] = {
        "initial": 40,
        "stage_size": 10,
        "unlabelled": 200,
        "epochs": 10,
        "warm_epochs": 6,
        "starts": 100,
        "steps": 30,
    }
    guided = NGAEAscent(table.space, 0, **stages, **settings)
    chance = RandomSearch(table.space, 0, **settings)
    means: list[float] = []
    for searcher in (guided, chance):
        loop = search(searcher, table)
        assert len(loop.candidates) == 60
        # The mean of what was tried after the first stage is a safer measure than the best, which may be luck.
        means.append(float(np.mean([row.evaluation.score for row in loop.searcher.history[40:]])))
    assert means[0] > means[1] + 0.01
    details = guided.details
    assert details["history"].shape == (10, 5)
    assert details["objectives"].shape == (3, 31)
    assert details["points"].shape == (50, 2)
    guided.close()


@pytest.mark.slow
def test_objectives_and_constraints(table: TabularEvaluator, make: Callable[..., NGAEAscent]) -> None:
    goals = goals_for(table, ["accuracy", "-macs"], {"params": "<= 15e3"})
    searcher = make(table.space, 0, num_candidates=20, deterministic=True, goals=goals)
    weights = searcher.propose_options()["weights"]
    assert weights[0] == 0.0 and len(weights) > 3
    loop = search(searcher, table)
    check_search(searcher, loop.candidates, 20)
    assert all(table.costs(table.space.parse(text))["params"] <= 15e3 for text in loop.candidates)


def test_a_bound_on_the_complexity_is_the_budget_of_the_ascent(table: TabularEvaluator, make: Callable[..., NGAEAscent]) -> None:
    goals = goals_for(table, ["accuracy"], {"macs": "<= 2e6"})
    assert make(table.space, 0, goals=goals).propose_options()["budget"] == 2e6
    assert make(table.space, 0, goals=goals, complexity="params").propose_options()["budget"] is None
    assert make(table.space, 0, weight=0.5, goals=goals_for(table)).propose_options()["weights"] == (0.5,)
    with pytest.raises(ConfigurationError, match="weight: 0.5 weighs nothing"):
        make(table.space, 0, weight=0.5, complexity=None, goals=goals_for(table))


def test_a_fit_starts_from_the_graphs_learned_first_and_repeats_exactly(table: TabularEvaluator) -> None:
    rng = np.random.default_rng(0)
    texts = [str(table.space.sample(rng)) for _ in range(20)]
    values = rng.random((20, 1))
    rows = {"architectures": texts, "values": values}
    options: dict[str, Any] = {"seed": 1, "column": 0, "goals": goals_for(table), "complexity": "macs"}
    made = [NGAESurrogate(table.space, 0, unlabelled=30, warm_epochs=1, epochs=1) for _ in range(2)]
    made[0].fit({"architectures": texts[:10], "values": values[:10]}, **options)
    states = [surrogate.fit(rows, **options)["model"]["model"] for surrogate in made]
    assert all((states[0][name] == states[1][name]).all() for name in states[0])
    assert (made[0].score(texts) == made[1].score(texts)).all()


def test_improvement_expected_by_a_gaussian_process_proposes_too(table: TabularEvaluator) -> None:
    rng = np.random.default_rng(0)
    texts = [str(table.space.sample(rng)) for _ in range(30)]
    rows = {"architectures": texts, "values": np.array([[text.count("nor_conv_3x3")] for text in texts], dtype=np.float64)}
    surrogate = NGAESurrogate(
        table.space, 0, unlabelled=150, epochs=8, warm_epochs=2, acquisition="improvement", performance_weight=0.0
    )
    goals = goals_for(table, ["accuracy"], {"params": "<= 30e3"})
    surrogate.fit(rows, seed=0, column=0, goals=goals, complexity=None)
    keys = [table.space.key(table.space.parse(text)) for text in texts]
    made = surrogate.propose(8, seed=0, exclude=keys, best=texts[:3], goals=goals, weights=(0.0,), budget=None)
    proposed = [table.space.parse(text) for text in made["architectures"]]
    assert len({table.space.key(each) for each in proposed} - set(keys)) == 8
    assert all(goals.excess(each) == 0.0 for each in proposed)
    assert made["predictions"] == sorted(made["predictions"], reverse=True)
    convolutions = [text.count("nor_conv_3x3") for text in made["architectures"]]
    assert np.mean(convolutions) > np.mean([text.count("nor_conv_3x3") for text in texts]) + 0.5


@pytest.mark.parametrize("preset", ["paper", "authors"])
def test_as_published_the_evaluated_architectures_alone_are_learned(table: TabularEvaluator, preset: str) -> None:
    """Scores as they are, all parts trained at once, plain steps, and ends in the order of their starts."""
    rng = np.random.default_rng(0)
    texts = [str(table.space.sample(rng)) for _ in range(12)]
    values = rng.random((12, 1))
    small = {"width": 8, "type_width": 8, "edge_width": 8, "latent": 4, "epochs": 2}
    searcher = NGAEAscent(table.space, 0, preset=preset, model=small, starts=40, steps=2, goals=goals_for(table))
    surrogate = searcher.surrogate()()
    fitted = {"seed": 1, **searcher.fit_options()}
    rows = {"architectures": texts, "values": values}
    state = surrogate.fit(rows, **fitted)["model"]
    assert state["process"] is None and len(state["history"]) == 2
    assert state["accuracy"] == {"center": 0.0, "spread": 1.0}, "equation 4 is on the scores as they are"
    assert state["complexity"] == {"center": 0.0, "spread": max(table.costs(table.space.parse(text))["macs"] for text in texts)}
    made = surrogate.propose(6, seed=0, exclude=[], best=texts[:3], **searcher.propose_options())
    assert len(made["architectures"]) == 6
    assert made["details"]["weight"] == 1.0


@pytest.mark.parametrize("predictor", ["process", "ensemble"])
def test_a_process_learns_without_another_fit_of_the_model(table: TabularEvaluator, predictor: str) -> None:
    rng = np.random.default_rng(0)
    texts = [str(table.space.sample(rng)) for _ in range(25)]
    values = np.array([[text.count("nor_conv_3x3")] for text in texts], dtype=np.float64)
    made = [NGAESurrogate(table.space, seed, unlabelled=60, epochs=2, width=32, predictor=predictor) for seed in (0, 3)]
    options: dict[str, Any] = {"seed": 1, "column": 0, "goals": goals_for(table), "complexity": "macs"}
    states = [made[0].fit({"architectures": texts[:n], "values": values[:n]}, **options) for n in (15, 25)]
    models = [state["model"]["model"] for state in states]
    assert all((models[0][name] == models[1][name]).all() for name in models[0])
    assert [len(state["model"]["process"]["targets"]) for state in states] == [15, 25]
    assert (states[1]["features"] is None) == (predictor == "process")
    made[1].load(states[1])
    assert (made[1].score(texts) == made[0].score(texts)).all()
    assert np.corrcoef(made[0].score(texts), values[:, 0])[0, 1] > 0.5


def test_targets() -> None:
    assert fractions(np.array([0.2, 0.9])).tolist() == [0.2, 0.9]
    assert fractions(np.array([90.0, 92.0, 94.0])).tolist() == [0.0, 0.5, 1.0]
    assert fractions(np.array([-1.0, -1.0])).tolist() == [0.0, 0.0]
    assert normal_quantiles(np.array([0.0, 0.5, 1.0])) == pytest.approx([-0.9674216, 0.0, 0.9674216])


def test_ranks_are_fractions() -> None:
    assert ranks(np.array([3.0, 1.0, 2.0, 2.0])).tolist() == [1.0, 0.0, 0.5, 0.5]
    assert ranks(np.array([5.0])).tolist() == [0.0]


def test_too_few_candidates_are_drawn_at_random_with_a_warning(table: TabularEvaluator, caplog: pytest.LogCaptureFixture) -> None:
    NGAEAscent(table.space, 0, num_candidates=40, initial=50)
    assert "all 40 candidates are drawn at random" in caplog.text


def test_wrong_settings(table: TabularEvaluator) -> None:
    with pytest.raises(ConfigurationError, match="unlabelled: expected at least 2"):
        NGAEAscent(table.space, 0, unlabelled=1)
    with pytest.raises(ConfigurationError, match="acquisition"):
        NGAEAscent(table.space, 0, acquisition="luck")
    with pytest.raises(ConfigurationError, match="predictor: expected one of"):
        NGAEAscent(table.space, 0, predictor="head")
    with pytest.raises(ConfigurationError, match="targets: expected one of"):
        NGAEAscent(table.space, 0, targets="rank")
    with pytest.raises(ConfigurationError, match="unlabelled: expected at least 2 .*or 0 with predictor='heads'"):
        NGAEAscent(table.space, 0, unlabelled=0)
    with pytest.raises(ConfigurationError, match="optimism: expected a finite number; got nan"):
        NGAEAscent(table.space, 0, optimism=math.nan)
    with pytest.raises(ConfigurationError, match="best_share: expected a share from 0 to 1; got 2"):
        NGAEAscent(table.space, 0, best_share=2)
    with pytest.raises(ConfigurationError, match="sample: expected True or False; got 'no'"):
        NGAEAscent(table.space, 0, sample="no")


def test_stopped_candidates_are_learned_below_complete_ones(table: TabularEvaluator) -> None:
    texts = [str(table.space.sample(np.random.default_rng(seed))) for seed in range(4)]
    rows = {"architectures": texts, "values": np.array([[0.9], [0.2], [0.8], [0.1]]), "fidelities": [4, None, 12, None]}
    surrogate = NGAESurrogate(table.space, 0, unlabelled=30, warm_epochs=1, epochs=1)
    surrogate.fit(rows, seed=0, column=0, goals=goals_for(table), complexity=None)
    assert surrogate._fitted[1].tolist() == pytest.approx([0.0, 1.0, 1 / 3, 2 / 3])
