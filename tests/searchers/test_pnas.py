"""Progressive search: sizes over the stages, growth by prediction, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.searchers import ArchitectureSearcher, Goals, ProgressiveSearch
from archsearch.searchers.conformance import Loop, SurrogateSearcherConformance
from archsearch.searchers.pnas import ProgressiveSurrogate
from archsearch.spaces import SearchSpace
from archsearch.spaces.growth import growth_of
from archsearch.spaces.nasbench101.space import NASBench101
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
SMALL: dict[str, Any] = {"members": 2, "recurrent": 8, "epochs": 3}


@pytest.mark.long
@pytest.mark.usefixtures("shared_ray")
class TestProgressiveSearch(SurrogateSearcherConformance):
    alternatives = 2

    def make_searcher(self, space: SearchSpace, seed: int, **settings: Any) -> ArchitectureSearcher:
        return ProgressiveSearch(space, seed, initial=10, stage_size=5, beam=10, children=10, model=SMALL, **settings)


def fitted(space: SearchSpace, **settings: Any) -> ProgressiveSurrogate:
    surrogate, rng = ProgressiveSurrogate(space, **{"beam": 10, "children": 20, **SMALL, **settings}), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20)]
    surrogate.fit({"architectures": list(map(str, drawn)), "values": rng.random((20, 1))}, seed=0, learned={"score": 0})
    return surrogate


def test_first_candidates_are_the_smallest() -> None:
    space = NASBench101()
    growth = growth_of(space)
    searcher = ProgressiveSearch(space, 0, initial=12, batch_size=1, num_candidates=40)
    loop = Loop(searcher, lambda architecture: 0.5).run(batches=12)
    sizes = [growth.size(space.parse(text)) for text in loop.candidates]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1 and sizes[-1] == 2, "there are fewer than twelve cells of one vertex"


def test_sizes_grow_from_stage_to_stage_and_then_all_are_open() -> None:
    searcher = ProgressiveSearch(SPACE, initial=10, stage_size=5, num_candidates=100, growing=0.5)
    assert [searcher.target(stage) for stage in range(1, 8)] == [2, 3, 4, 5, 6, None, None]
    short = ProgressiveSearch(SPACE, initial=5, stage_size=5, num_candidates=30, growing=0.5)
    assert [short.target(stage) for stage in range(1, 4)] == [4, 6, None], "several places a stage"
    whole = ProgressiveSearch(spaces.get("nasnet"), initial=10, stage_size=10, growing=1.0)
    assert [whole.target(stage) for stage in range(1, 9)] == [2, 3, 4, 5, 6, 7, 8, None]


def test_grown_architectures_have_the_size_of_the_stage_and_are_ranked() -> None:
    surrogate, growth = fitted(SPACE), growth_of(SPACE)
    options: dict[str, Any] = {"seed": 1, "exclude": [], "best": [], "goals": Goals()}
    smallest = [str(growth.smallest())]
    two = surrogate.propose(8, **options, parents=smallest, target=2, spare=0)
    sizes = {growth.size(SPACE.parse(text)) for text in two["architectures"]}
    assert sizes <= {1, 2}, "equal structures may be written with fewer places"
    assert two["predictions"] == sorted(two["predictions"], reverse=True)
    everything = surrogate.propose(200, **options, parents=smallest, target=6, spare=6)
    assert len({growth.size(SPACE.parse(text)) for text in everything["architectures"]}) > 3
    exclude = [SPACE.key(SPACE.parse(text)) for text in two["architectures"]]
    other = surrogate.propose(8, **{**options, "exclude": exclude}, parents=smallest, target=2, spare=0)
    assert not set(other["architectures"]) & set(two["architectures"])
    assert surrogate.propose(8, **options, parents=smallest, target=2, spare=0) == two, "the seed decides"


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="every gene of nasbench201 has one, such as a single operator"):
        ProgressiveSearch(OneOperator())
    with pytest.raises(ConfigurationError, match=r"growing: expected a share from 0 to 1; got 1\.5"):
        ProgressiveSearch(SPACE, growing=1.5)
    with pytest.raises(ConfigurationError, match="predictor: no setting 'member'"):
        ProgressiveSearch(SPACE, model={"member": 2})
    with pytest.raises(ConfigurationError, match="stage_size"):
        ProgressiveSearch(SPACE, stage_size=0)


def test_the_paper_is_scaled_to_the_number_of_candidates() -> None:
    searcher = ProgressiveSearch(SPACE, preset="paper", num_candidates=128)
    assert (searcher.initial, searcher.stage_size, searcher.growing) == (26, 26, 1.0)
    assert "made for 1,280 candidates" in searcher.notes[0]
