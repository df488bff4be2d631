"""Search by improved encodings: proposals, ranks, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, EncodingSearch, Goals
from archsearch.searchers.conformance import SurrogateSearcherConformance
from archsearch.searchers.nao import EncodingSurrogate
from archsearch.spaces import SearchSpace
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
SMALL: dict[str, Any] = {"hidden": 8, "steps": 5, "warm_steps": 5}


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestEncodingSearch(SurrogateSearcherConformance):
    alternatives = 2

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return EncodingSearch(space, seed, initial=10, stage_size=5, unlabelled=20, model=SMALL, **settings)


def convolutions(text: str) -> float:
    return text.count("conv_3x3") / 6


def test_proposals_are_better_than_what_they_come_from() -> None:
    surrogate, rng = EncodingSurrogate(SPACE, 0, unlabelled=80, hidden=24, steps=80, warm_steps=60), np.random.default_rng(1)
    texts = list({str(SPACE.sample(rng)) for _ in range(60)})
    values = np.array([[convolutions(text)] for text in texts])
    surrogate.fit({"architectures": texts, "values": values}, seed=0, measured=(True,))
    best = sorted(texts, key=convolutions, reverse=True)[:10]
    exclude = [SPACE.key(SPACE.parse(text)) for text in texts]
    options: dict[str, Any] = {"exclude": exclude, "best": [], "goals": Goals(), "step": 0.5, "rounds": 10, "rerank": True}
    found = surrogate.propose(8, seed=0, starts=best, **options)
    assert found["architectures"]
    assert not {SPACE.key(SPACE.parse(text)) for text in found["architectures"]} & set(exclude)
    assert np.mean([convolutions(text) for text in found["architectures"]]) > np.mean(values)
    assert found["predictions"] == sorted(found["predictions"], reverse=True)
    assert surrogate.score(best[:2]).shape == (2,)


def test_without_unlabelled_architectures_a_fit_starts_from_new_weights() -> None:
    rows = {
        "architectures": [str(SPACE.sample(np.random.default_rng(seed))) for seed in range(6)],
        "values": np.arange(6.0)[:, None],
    }
    surrogate = EncodingSurrogate(SPACE, 0, unlabelled=0, **SMALL)
    first, again = (surrogate.fit(rows, seed=3, measured=(True,)) for _ in range(2))
    assert all((first["model"][name] == again["model"][name]).all() for name in first["model"])


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="every gene of nasbench201 has one, such as a single operator"):
        EncodingSearch(OneOperator())
    with pytest.raises(ConfigurationError, match="NAO: no setting 'hiden'"):
        EncodingSearch(SPACE, model={"hiden": 2})
    with pytest.raises(ConfigurationError, match="step"):
        EncodingSearch(SPACE, step=0.0)
    with pytest.raises(ConfigurationError, match="preset: expected one of default, paper; got 'authors'"):
        EncodingSearch(SPACE, preset="authors")


def test_the_paper_is_scaled_to_the_number_of_candidates() -> None:
    searcher = EncodingSearch(SPACE, preset="paper", num_candidates=100)
    assert (searcher.initial, searcher.stage_size, searcher.improving["parents"]) == (60, 20, 10)
    assert searcher.model["preset"] == "paper"
