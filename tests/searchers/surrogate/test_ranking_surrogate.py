"""The inner search proposes what a ranking puts first, whatever the ranking is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.searchers.conformance import SmallSpace
from archsearch.searchers.goals import Constraint, Goals, Objective
from archsearch.searchers.surrogate import ranking_surrogate
from archsearch.searchers.surrogate.inner_search import Generations
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

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


class Screening(Counting):
    """Has rough scores: the number of all convolutions."""

    def prepare_to_screen(self, graphs: GraphBatch) -> Any:
        return (graphs.operators[:, 0] >= 4).sum(axis=1) - (graphs.operators[:, 0] == 6).sum(axis=1)

    def screen(self, prepared: Any) -> Any:
        return prepared.astype(float)

    def predict(self, architectures: Any) -> Any:
        given = SPACE.decode(architectures) if isinstance(architectures, GraphBatch) else architectures
        return super().predict(given)


class ScreeningSurrogate(RankingSurrogate):
    def _made(self, seed: int) -> Screening:
        return Screening()


class Large(SmallSpace):
    """A space that can be listed, but not within a few seconds."""

    enumerable = 10

    @property
    def num_listed(self) -> int:
        return self.size

    def listed_graphs(self) -> GraphBatch:
        return self.encode(list(self.representatives().values()))


def test_a_large_list_is_screened_and_the_first_are_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking_surrogate, "_SCREENED", 30)
    space = Large(4)
    surrogate = ScreeningSurrogate(space, enumerable=10_000)
    surrogate.fit({"architectures": [], "values": np.array([[1.0]])}, seed=0, learned={"score": 0})
    everything = space.representatives()
    rough = dict(zip(everything, Screening().prepare_to_screen(space.listed_graphs()).tolist(), strict=True))
    exact = {key: str(each).count("nor_conv_3x3") for key, each in everything.items()}
    goals = Goals(constraints=(Constraint("skips", "<=", 0.0),), costs=_skips, cost_names=("skips",))
    for known, wanted in (([], Goals()), (sorted(everything)[::2], Goals()), ([], goals)):
        first = sorted(rough, key=lambda key: -rough[key])[: 30 + len(known)]
        expected = [exact[key] for key in first if key not in known and wanted.excess(everything[key]) == 0.0]
        answer = surrogate.propose(8, seed=0, exclude=known, best=[], goals=wanted, **INNER)
        assert answer["predictions"] == sorted(expected, reverse=True)[:8]
        assert len(set(answer["architectures"])) == len(answer["architectures"])
        assert not set(known) & {space.key(space.parse(text)) for text in answer["architectures"]}
    both = Goals((Objective("score"), Objective("skips", maximize=False)), costs=_skips, cost_names=("skips",))
    parents = [str(each) for each in list(everything.values())[:3]]
    answer = surrogate.propose(5, seed=0, exclude=[], best=parents, goals=both, **INNER)
    assert len(answer["architectures"]) == 5, "with two objectives the inner evolution searches"


def _skips(architecture: Architecture) -> dict[str, float]:
    return {"skips": float(str(architecture).count("skip_connect"))}
