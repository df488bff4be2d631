"""The ensemble of LSTMs over genes: what it learns, members, states, refusals."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.predictors.sequence_predictor import SequencePredictor
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def drawn(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def convolutions(architectures: Sequence[Architecture]) -> list[float]:
    return [str(SPACE.representative(each)).count("conv_3x3") + 0.1 * str(each).count("skip") for each in architectures]


def test_it_ranks_architectures_that_it_has_not_seen() -> None:
    known, new = drawn(60), drawn(100, seed=1)
    predictor = SequencePredictor(SPACE, members=1, recurrent=24, epochs=40).fit(known, convolutions(known))
    assert kendall_tau(predictor.predict(new), np.array(convolutions(new))) > 0.5


def test_members_are_averaged_and_equal_architectures_have_one_prediction() -> None:
    known = drawn(20)
    predictor = SequencePredictor(SPACE, members=3, recurrent=8, epochs=3).fit(known, np.arange(20))
    assert predictor.predict(predictor.prepare(known)).tolist() == predictor.predict(known).tolist()
    dead = [SPACE.from_genotype((3, 0, gene, 3, 0, 0)) for gene in (0, 1)]
    if SPACE.key(dead[0]) == SPACE.key(dead[1]):
        assert len(set(predictor.predict(dead).tolist())) == 1
    assert predictor.predict([]).shape == (0,)


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_can_be_read(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(6)]
    predictor = SequencePredictor(space, members=2, recurrent=4, epochs=1).fit(architectures, range(6))
    assert np.isfinite(predictor.predict(architectures)).all()


def test_a_state_is_restored() -> None:
    known = drawn(20)
    predictor = SequencePredictor(SPACE, members=2, recurrent=8, epochs=3).fit(known, np.arange(20))
    file = io.BytesIO()
    torch.save(predictor.state(), file)
    file.seek(0)
    again = SequencePredictor(SPACE, 5, members=2, recurrent=8).load(torch.load(file, weights_only=True))
    assert again.predict(known).tolist() == predictor.predict(known).tolist()
    with pytest.raises(ConfigurationError, match="members"):
        SequencePredictor(SPACE, members=3, recurrent=8).load(predictor.state())


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="every gene of nasbench201 has one"):
        SequencePredictor(OneOperator())
    with pytest.raises(ConfigurationError, match="it has learned nothing yet"):
        SequencePredictor(SPACE).predict(drawn(2))
    with pytest.raises(ConfigurationError, match="scores"):
        SequencePredictor(SPACE).fit(drawn(2), [0.5, math.inf])
