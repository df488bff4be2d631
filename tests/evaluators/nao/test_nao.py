"""NAO: it reconstructs, predicts and improves; states; refusals."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.metrics import kendall_tau
from archsearch.evaluators.nao.nao import NAO
from archsearch.spaces import Architecture
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()


def drawn(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def convolutions(architectures: Sequence[Architecture]) -> np.ndarray:
    return np.array([str(SPACE.representative(each)).count("conv_3x3") / 6 for each in architectures])


@pytest.fixture(scope="module")
def model() -> NAO:
    known = drawn(100)
    return NAO(SPACE, hidden=32, batch_size=48, learning_rate=0.01).fit(known, convolutions(known), drawn(100, seed=2), steps=160)


def test_it_reconstructs_and_predicts_architectures_that_it_has_not_seen(model: NAO) -> None:
    new = drawn(100, seed=1)
    assert model.reconstructed(new) > 0.5
    assert kendall_tau(model.predict(new), convolutions(new)) > 0.5


def test_a_step_of_length_zero_reconstructs_and_longer_ones_improve(model: NAO) -> None:
    new = drawn(100, seed=1)
    same = [each for each in model.improved(new, 0.0) if each is not None]
    better = [each for each in model.improved(new, 1.5) if each is not None]
    assert np.mean([str(a) == str(SPACE.representative(b)) for a, b in zip(same, new, strict=True)]) > 0.5
    assert convolutions(better).mean() > convolutions(new).mean() + 0.05
    assert model.improved([], 1.0) == []


def test_a_state_is_restored(model: NAO) -> None:
    file = io.BytesIO()
    torch.save(model.state(), file)
    file.seek(0)
    again = NAO(SPACE, 7, hidden=32).load(torch.load(file, weights_only=True))
    assert again.predict(drawn(5)).tolist() == model.predict(drawn(5)).tolist()
    with pytest.raises(ConfigurationError, match="space"):
        NAO(spaces.get("enas"), hidden=32).load(model.state())


def test_a_warm_fit_continues() -> None:
    known = drawn(20)
    cold = NAO(SPACE, hidden=8).fit(known, None, steps=5)
    before = cold.state()["model"]["read"].clone()
    cold.fit(known, convolutions(known), warm=True, steps=1)
    change = (cold.state()["model"]["read"] - before).abs().max()
    assert 0 < change < 0.05


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_can_be_encoded(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(6)]
    made = NAO(space, hidden=4).fit(architectures, np.linspace(0.0, 1.0, 6), steps=1)
    assert all(each is None or space.key(each) for each in made.improved(architectures, 1.0))


def test_what_cannot_be_learned_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="scores: expected 2 numbers from 0 to 1"):
        NAO(SPACE).fit(drawn(2), [0.5, 1.5])
    with pytest.raises(ConfigurationError, match="scores: expected 2 numbers from 0 to 1"):
        NAO(SPACE).fit(drawn(2), [0.5, math.nan])
    with pytest.raises(ConfigurationError, match="it has learned nothing yet"):
        NAO(SPACE).predict(drawn(1))
    with pytest.raises(ConfigurationError, match="expected at least 1 to learn from"):
        NAO(SPACE).fit([], None)
    broken = NAO(SPACE, hidden=4).fit(drawn(4), None, steps=1)
    state = broken.state()
    state["model"]["read"][:] = math.nan
    with pytest.raises(ConfigurationError, match="learning_rate: expected one with which the training converges"):
        broken.load(state).fit(drawn(4), None, warm=True, steps=1)
