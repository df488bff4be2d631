from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation, Predictor, TabularEvaluator
from archsearch.evaluators.metrics import kendall_tau
from archsearch.searchers import ArchitectureSearcher, GATESEvolution, Observation, RandomSearch, goals_for
from archsearch.searchers.conformance import Loop, SharedPools, SmallSpace, SurrogateSearcherConformance, check_search
from archsearch.searchers.gates import FusionSurrogate, PredictorSurrogate
from archsearch.searchers.goals import Constraint, Goals, Objective
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.searchers.surrogate.rung_rows import rung_rows
from archsearch.spaces import Architecture, SearchSpace

EPOCHS = 30
INNER = {"inner": Generations(60, 8)}
SMALL: dict[str, Any] = {"initial": 10, "stage_size": 5, "population": 20, "generations": 2, "enumerable": 0, "epochs": 3}


@pytest.fixture(scope="module")
def make(pools: SharedPools) -> Callable[..., GATESEvolution]:
    """Makes searchers whose stages are short; those of one space share a pool."""

    def make(space: SearchSpace, seed: int, **settings: Any) -> GATESEvolution:
        return GATESEvolution(space, seed, **{**SMALL, "pool": pools.name_for(space), **settings})

    return make


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return GATESEvolution(space, seed, **SMALL, **settings)


PAPER: dict[str, Any] = {
    "preset": "paper",
    "initial": 6,
    "stage_size": 3,
    "inner": {"kind": "evolution", "population": 6, "tournament": 2, "steps": 6},
    "model": {"epochs": 4, "warm_epochs": 2, "width": 8, "hidden": 6, "embedding": 4, "head": (8,), "layers": 3},
}


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestPaperConformance(SurrogateSearcherConformance):
    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return GATESEvolution(space, seed, **{**PAPER, **settings})


@pytest.fixture(scope="module")
def table() -> TabularEvaluator:
    return TabularEvaluator.embedded("digits201")


def search(searcher: ArchitectureSearcher, table: TabularEvaluator) -> Loop:
    return Loop(searcher, lambda architecture: table.evaluate([architecture])[0].score).run(at_once=2)


@pytest.mark.slow
def test_it_finds_better_cells_than_chance(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    settings: dict[str, Any] = {"num_candidates": 60, "deterministic": True, "batch_size": 5}
    bests = []
    for seed in range(2):
        guided = make(table.space, seed, initial=20, stage_size=10, epochs=60, population=100, generations=6, **settings)
        chance = RandomSearch(table.space, seed, **settings)
        loops = [search(searcher, table) for searcher in (guided, chance)]
        assert all(len(loop.candidates) == 60 for loop in loops)
        # The mean of what was tried after the first stage is a safer measure than the best, which may be luck.
        bests.append([np.mean([row.evaluation.score for row in loop.searcher.history[20:]]) for loop in loops])
        assert guided.figures["surrogate/trust_tau"] > -1.0
    guided_mean, chance_mean = np.mean(bests, axis=0)
    assert guided_mean > chance_mean + 0.01


@pytest.mark.slow
def test_objectives_and_constraints(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    goals = goals_for(table, ["accuracy", "-macs"], {"params": "<= 15e3"})
    searcher = make(table.space, 0, num_candidates=30, deterministic=True, goals=goals)
    loop = search(searcher, table)
    check_search(searcher, loop.candidates, 30)
    assert all(table.costs(table.space.parse(text))["params"] <= 15e3 for text in loop.candidates)
    assert len(searcher.trust) > 5


@pytest.mark.slow
def test_islands_share_their_parents_and_diverge(table: TabularEvaluator, make: Callable[..., GATESEvolution]) -> None:
    def candidates(islands: int | None) -> list[str]:
        searcher = make(table.space, 0, num_candidates=25, deterministic=True, islands=islands)
        assert searcher.islands == (islands or 1)
        return search(searcher, table).candidates

    apart = candidates(3)
    assert apart[:10] == candidates(None)[:10]
    assert apart[10:] != candidates(None)[10:]
    assert apart == candidates(3)
    assert GATESEvolution(table.space, 0, enumerable=20_000, islands=3).islands == 1
    with pytest.raises(ConfigurationError, match="islands: expected"):
        make(table.space, 0, islands=0)


def weight(architecture: Architecture) -> float:
    return float(str(architecture).count("nor_conv"))


def rows(space: SearchSpace, count: int = 40) -> dict[str, object]:
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(count)]
    scores = [weight(each) for each in architectures]
    return {"architectures": [str(each) for each in architectures], "values": np.array([scores, [-score for score in scores]]).T}


def fitted(space: SearchSpace, **settings: object) -> PredictorSurrogate:
    surrogate = PredictorSurrogate(space, epochs=EPOCHS, **settings)
    surrogate.fit(rows(space), seed=0, learned={"score": 0})
    return surrogate


@pytest.fixture(scope="module")
def surrogate() -> PredictorSurrogate:
    torch.set_num_threads(1)
    return fitted(spaces.get("nasbench201"))


def test_a_small_space_is_ranked_completely() -> None:
    space = SmallSpace(3)
    surrogate = fitted(space)
    everything = space.representatives()
    known = sorted(everything)[:20]
    answer = surrogate.propose(1000, seed=0, exclude=known, best=[], goals=Goals(), **INNER)
    keys = [space.key(space.parse(text)) for text in answer["architectures"]]
    assert sorted(keys) == sorted(set(everything) - set(known))
    assert answer["predictions"] == sorted(answer["predictions"], reverse=True)
    np.testing.assert_allclose(surrogate.score(answer["architectures"]), answer["predictions"], atol=1e-5)


def test_the_inner_evolution_finds_the_best_of_the_complete_ranking(surrogate: PredictorSurrogate) -> None:
    space = surrogate.space
    whole = surrogate.propose(20, seed=0, exclude=[], best=[], goals=Goals(), **INNER)
    searching = PredictorSurrogate(space, enumerable=0, epochs=EPOCHS)
    searching.load({name: predictor.state() for name, predictor in surrogate._predictors.items()})
    best = rows(space)["architectures"][:5]  # type: ignore[index]
    found = searching.propose(20, seed=0, exclude=[], best=best, goals=Goals(), **INNER)
    assert found["predictions"][0] >= whole["predictions"][3]
    again = searching.propose(20, seed=0, exclude=[], best=best, goals=Goals(), **INNER)
    assert again == found
    keys = {space.key(space.parse(text)) for text in found["architectures"]}
    excluded = searching.propose(20, seed=0, exclude=sorted(keys), best=best, goals=Goals(), **INNER)
    assert not keys & {space.key(space.parse(text)) for text in excluded["architectures"]}


def test_only_what_keeps_the_constraints_is_proposed(surrogate: PredictorSurrogate) -> None:
    goals = Goals(
        constraints=(Constraint("weight", "<=", 2.0),), costs=lambda each: {"weight": weight(each)}, cost_names=("weight",)
    )
    answer = surrogate.propose(50, seed=0, exclude=[], best=[], goals=goals, **INNER)
    weights = [weight(surrogate.space.parse(text)) for text in answer["architectures"]]
    assert len(weights) == 50
    assert max(weights) <= 2.0
    assert np.mean(weights[:10]) > 1.5, "the predictor has learned that more convolutions are better"


def test_cost_objectives_are_computed_and_not_predicted(surrogate: PredictorSurrogate) -> None:
    objectives = (Objective("score"), Objective("weight", False))
    goals = Goals(objectives, costs=lambda each: {"weight": weight(each)}, cost_names=("weight",))
    answer = surrogate.propose(12, seed=0, exclude=[], best=[], goals=goals, **INNER)
    weights = {weight(surrogate.space.parse(text)) for text in answer["architectures"]}
    assert {0.0, 6.0} <= weights, "the ends of the front come first"


def test_states_travel_as_plain_data(surrogate: PredictorSurrogate) -> None:
    state = {name: predictor.state() for name, predictor in surrogate._predictors.items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    again = PredictorSurrogate(surrogate.space, epochs=EPOCHS)
    again.load(torch.load(buffer, weights_only=True))
    texts = rows(surrogate.space)["architectures"]
    np.testing.assert_array_equal(again.score(texts), surrogate.score(texts))  # type: ignore[arg-type]


def halved(space: SearchSpace, count: int) -> tuple[list[Architecture], NDArray[np.float64], dict[str, Any]]:
    """Return architectures, their true scores, and rows of a search that stopped the worse half at a higher score."""
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(count)]
    truth = np.array([str(each).count("nor_conv_3x3") + 0.01 * at / count for at, each in enumerate(architectures)])
    survives = truth >= np.median(truth)
    newest = [
        Evaluation(each, str(at), float(score if lives else score + 10.0), fidelity=None if lives else 4)
        for at, (each, score, lives) in enumerate(zip(architectures, truth, survives, strict=True))
    ]
    partial = {each.key: {4: replace(each, fidelity=4, score=each.score + 10.0)} for each in newest if each.fidelity is None}
    rows = {
        "architectures": [str(each) for each in architectures],
        "values": np.array([[each.score] for each in newest]),
        "fidelities": [each.fidelity for each in newest],
        "rungs": rung_rows(newest, partial, Goals().values)._asdict(),
    }
    return architectures, truth, rows


@pytest.mark.parametrize("loss", ["hinge", "mse"])
def test_it_learns_within_rungs(loss: str) -> None:
    """With a loss on scores it learns one order, in which survivors are above stopped candidates."""
    space = spaces.get("nasbench201")
    architectures, truth, rows = halved(space, 60)
    surrogate = PredictorSurrogate(space, loss=loss, epochs=40, width=16, hidden=8, embedding=8, head=(16,), learning_rate=0.01)
    surrogate.fit(rows, seed=0, learned={"score": 0})
    assert kendall_tau(truth, surrogate.score([str(each) for each in architectures])) > 0.6


def test_one_candidate_a_rung_is_learned_in_one_order() -> None:
    space = spaces.get("nasbench201")
    architectures, _, rows = halved(space, 2)
    rows |= {"values": np.array([[0.9], [0.1]]), "fidelities": [4, None]}
    rows["rungs"] = {"candidates": np.array([0, 1]), "rungs": np.array([0, 1]), "values": rows["values"]}
    surrogate = PredictorSurrogate(space, epochs=20, width=16, hidden=8, embedding=8, head=(16,), learning_rate=0.01)
    surrogate.fit(rows, seed=0, learned={"score": 0})
    stopped, complete = surrogate.score([str(each) for each in architectures])
    assert complete > stopped


# Added rankings

WEAK: dict[str, Any] = {"epochs": 10, "width": 16, "hidden": 8, "embedding": 8, "head": (16,), "learning_rate": 0.01}


def added(space: SearchSpace, **settings: Any) -> FusionSurrogate:
    return FusionSurrogate(space, **{"enumerable": 10_000, "fusion": ("gp", "forest"), **WEAK, **settings})


def test_added_rankings_rank_a_small_space_and_travel_as_states() -> None:
    space = SmallSpace(3)
    surrogate = added(space, optimism=0.5)
    state = surrogate.fit(rows(space), seed=0, learned={"score": 0, "lightness": 1})
    assert state.keys() == {"score", "lightness"}
    texts = rows(space)["architectures"]
    again = added(space, optimism=0.5)
    again.load(state)
    np.testing.assert_array_equal(again.score(texts), surrogate.score(texts))  # type: ignore[arg-type]
    goals = Goals((Objective("score"), Objective("lightness")))
    both = again.propose(12, seed=0, exclude=[], best=[], goals=goals, **INNER)
    counts = {weight(space.parse(text)) for text in both["architectures"]}
    assert max(counts) >= 5.0 and min(counts) <= 1.0, "the ends of the front come first"


def test_added_rankings_learn_within_rungs() -> None:
    space = spaces.get("nasbench201")
    architectures, truth, given = halved(space, 60)
    surrogate = added(space, epochs=40)
    surrogate.fit(given, seed=0, learned={"score": 0})
    texts = [str(each) for each in architectures]
    assert kendall_tau(truth, surrogate.score(texts)) > 0.6
    alone = PredictorSurrogate(space, **{**WEAK, "epochs": 40})
    alone.fit(given, seed=0, learned={"score": 0})
    ranking = surrogate._predictors["score"]
    np.testing.assert_allclose(ranking._gates.predict(architectures), alone.score(texts), atol=1e-5)  # type: ignore[attr-defined]


def test_presets_choose_which_rankings_are_added() -> None:
    space = spaces.get("nasbench201")
    kinds = {name: GATESEvolution(space, preset=name).surrogate().func for name in ("default", "gates", "paper")}  # type: ignore[attr-defined]
    assert kinds == {"default": FusionSurrogate, "gates": PredictorSurrogate, "paper": PredictorSurrogate}
    searcher = GATESEvolution(space, preset="gates", fusion="gp")
    assert (searcher.fusion, searcher.optimism, searcher.screens) == (("gp",), 0.0, True)
    with pytest.raises(ConfigurationError, match="warm: fits that continue need GATES alone"):
        GATESEvolution(space, preset="paper", fusion="gp")
    assert GATESEvolution(space, fusion="").fusion == ()
    assert GATESEvolution(space, warm=True).fusion == (), "what is asked for needs GATES alone"
    large: dict[str, Any] = {"space": spaces.get("nasbench101"), "actors": 2, "enumerable": 500_000}
    assert GATESEvolution(**large).islands == 1, "each would rank the same cells"
    assert GATESEvolution(**large, preset="gates").islands == 2, "GATES alone has no rough scores"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion": "gp+tree"}, "fusion: expected one of forest, gp"),
        ({"fusion": "forest"}, "fusion: expected 'gp.forest', 'gp' or an empty string; got 'forest'"),
        ({"fusion": "gp+gp"}, "fusion: expected 'gp.forest'"),
        ({"fusion": ["gp"]}, "fusion: expected a string"),
        ({"optimism": -1}, "optimism: expected a number from 0 to 100"),
        ({"optimism": float("nan")}, "optimism: expected a finite number"),
        ({"optimism": "high"}, "optimism: expected a number"),
        ({"optimism": 1.0, "preset": "gates"}, "optimism: GATES alone has no uncertainty"),
    ],
)
def test_wrong_fusions_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        GATESEvolution(spaces.get("nasbench201"), **options)


def test_a_fit_of_the_paper_continues_the_one_before() -> None:
    space = spaces.get("nasbench201")
    whole: dict[str, Any] = rows(space, 20)
    architectures, scores = [space.parse(text) for text in whole["architectures"]], whole["values"][:, 0]
    small: dict[str, Any] = {"preset": "paper", **PAPER["model"]}
    predictor = Predictor(space, seed=5, **small).fit(architectures[:12], scores[:12])
    predictor.fit(architectures[:17], scores[:17], warm=True).fit(architectures, scores, warm=True)
    stages = [0] * 12 + [1] * 5 + [2] * 3
    surrogate, again = (PredictorSurrogate(space, **small) for _ in range(2))
    for count in (12, 17, 20):
        part = {name: column[:count] for name, column in whole.items()}
        surrogate.fit(part, seed=5, learned={"score": 0}, stages=stages[:count])
    again.fit(whole, seed=5, learned={"score": 0}, stages=stages)
    for made in (surrogate, again):
        np.testing.assert_array_equal(made.score(whole["architectures"]), predictor.predict(architectures))
    cold = Predictor(space, seed=5, **small).fit(architectures, scores)
    assert not np.allclose(cold.predict(architectures), predictor.predict(architectures))


@pytest.mark.slow
def test_a_search_of_the_paper_continues_exactly_after_a_restart(table: TabularEvaluator, shared_ray: None) -> None:
    """A new searcher with a new pool, which replays what was evaluated, proposes what the one that was stopped would have."""
    settings: dict[str, Any] = {**PAPER, "num_candidates": 15, "deterministic": True}
    searcher = GATESEvolution(table.space, 0, **settings)
    whole = search(searcher, table).candidates
    assert searcher.figures["surrogate/stages"] == 3
    searcher.close()
    again = GATESEvolution(table.space, 0, **settings)
    again.replay(searcher.history[:11])
    loop = search(again, table)
    assert loop.candidates == whole[11:]
    again.close()


def test_stages_of_candidates_are_counted_by_proposals() -> None:
    """Failed candidates and those learned of others do not shift the stages of the others."""
    space = spaces.get("nasbench201")
    searcher = GATESEvolution(space, 0, preset="paper", initial=4, stage_size=2, batch_size=2)
    searcher._stages = 3
    rng, drawn = np.random.default_rng(0), dict[str, Architecture]()
    while len(drawn) < 9:
        architecture = space.sample(rng)
        drawn.setdefault(space.key(architecture), architecture)
    evaluations = [Evaluation(each, key, 0.5 + at / 100, {}, 0.0) for at, (key, each) in enumerate(drawn.items())]
    failed = replace(evaluations[1], error="it failed")
    observations = [
        Observation(at // 2, at % 2, each, False) for at, each in enumerate([evaluations[0], failed, *evaluations[2:8]])
    ]
    searcher._history += observations
    searcher.observe([Observation(-1, 0, evaluations[8], True), *observations])
    assert searcher._proposed_in() == [0, 0, 0, 0, 1, 1, 2, 2]
