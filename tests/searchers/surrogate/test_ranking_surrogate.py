"""The inner search proposes what a ranking puts first, whatever the ranking is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.searchers.conformance import SmallSpace
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.spaces import SearchSpace

SPACE = spaces.get("nasbench201")
INNER = {"inner": Generations(40, 12)}


class Counting:
    """Ranks by the number of 3x3 convolutions, with the sign of the first score that it was fitted to."""

    sign = 1.0

    def prepare(self, architectures: Sequence[Any]) -> Any:
        return architectures

    def fit(self, architectures: Sequence[Any], scores: Any) -> Counting:
        self.sign = float(np.sign(scores[0]))
        return self

    def predict(self, architectures: Any) -> Any:
        return np.array([self.sign * str(each).count("nor_conv_3x3") for each in architectures])

    def state(self) -> dict[str, Any]:
        return {"sign": self.sign}

    def load(self, state: Mapping[str, Any]) -> Counting:
        self.sign = state["sign"]
        return self


class CountingSurrogate(RankingSurrogate):
    def _made(self, seed: int) -> Counting:
        return Counting()


def fitted(space: SearchSpace = SPACE, enumerable: int = 0) -> CountingSurrogate:
    surrogate = CountingSurrogate(space, enumerable=enumerable)
    surrogate.fit({"architectures": [], "values": np.array([[1.0, -1.0]])}, seed=0, learned={"score": 0})
    return surrogate


def test_each_learned_objective_has_its_ranking_and_states_are_loaded() -> None:
    surrogate = CountingSurrogate(SPACE)
    state = surrogate.fit({"architectures": [], "values": np.array([[1.0, -1.0]])}, seed=0, learned={"score": 0, "robustness": 1})
    assert state == {"score": {"sign": 1.0}, "robustness": {"sign": -1.0}}
    again = CountingSurrogate(SPACE)
    again.load({"score": {"sign": -1.0}})
    text = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    assert again.score([text]).tolist() == [-1.0]


def test_the_inner_evolution_climbs_to_the_top_of_the_ranking() -> None:
    answer = fitted().propose(5, seed=0, exclude=[], best=[], goals=Goals(), **INNER)
    assert answer["predictions"][0] >= 5.0
    assert answer["predictions"] == sorted(answer["predictions"], reverse=True)
    assert answer == fitted().propose(5, seed=0, exclude=[], best=[], goals=Goals(), **INNER)


@pytest.mark.parametrize("enumerable", [0, 20_000])
def test_excluded_architectures_are_not_proposed(enumerable: int) -> None:
    space = SmallSpace(2)
    keys = sorted(space.structures())
    answer = fitted(space, enumerable).propose(100, seed=0, exclude=keys[:-2], best=[], goals=Goals(), **INNER)
    assert sorted(space.key(space.parse(text)) for text in answer["architectures"]) == keys[-2:]
    none = fitted(space, enumerable).propose(100, seed=0, exclude=keys, best=[], goals=Goals(), **INNER)
    assert none == {"architectures": [], "predictions": []}


def test_a_cost_is_computed_and_weighed_against_the_ranking() -> None:
    goals = Goals(
        (Objective("score"), Objective("convs", maximize=False)),
        costs=lambda each: {"convs": float(str(each).count("nor_conv"))},
        cost_names=("convs",),
    )
    answer = fitted(enumerable=20_000).propose(2, seed=0, exclude=[], best=[], goals=goals, **INNER)
    counts = {text.count("nor_conv_3x3") for text in answer["architectures"]}
    assert counts == {0, 6}, "the ends of the front come first"
