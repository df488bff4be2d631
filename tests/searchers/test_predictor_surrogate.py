from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.searchers.conformance import SmallSpace
from archsearch.searchers.gates import PredictorSurrogate
from archsearch.searchers.goals import Constraint, Goals, Objective
from archsearch.spaces import Architecture, SearchSpace

EPOCHS = 30
INNER = {"population": 60, "generations": 8}


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


def test_a_small_space_is_ranked_as_a_whole() -> None:
    space = SmallSpace(3)
    surrogate = fitted(space)
    everything = space.representatives()
    known = sorted(everything)[:20]
    answer = surrogate.propose(1000, seed=0, exclude=known, best=[], goals=Goals(), **INNER)
    keys = [space.key(space.parse(text)) for text in answer["architectures"]]
    assert sorted(keys) == sorted(set(everything) - set(known))
    assert answer["predictions"] == sorted(answer["predictions"], reverse=True)
    np.testing.assert_allclose(surrogate.score(answer["architectures"]), answer["predictions"], atol=1e-5)


def test_the_inner_evolution_finds_what_the_ranking_of_all_puts_first(surrogate: PredictorSurrogate) -> None:
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


def test_objectives_that_cost_nothing_to_know_are_counted_and_not_predicted(surrogate: PredictorSurrogate) -> None:
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
