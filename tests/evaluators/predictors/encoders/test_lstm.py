"""The LSTM against that of torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.lstm import LSTM
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import GraphBatch

Generators = Callable[..., list[torch.Generator]]


def population(name: str, number: int) -> tuple[GraphBatch, Form]:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(number)])
    return batch, Form.of(batch, space.num_inputs)


def test_lstm_is_that_of_torch(generators: Generators) -> None:
    batch, form = population("nasbench101", 10)
    made = LSTM(form, Settings(recurrent=7), generators(0, 1))
    [tokens] = made.tensors(batch, form)
    vectors = made(tokens.unsqueeze(0))
    for member in range(2):
        plain = nn.LSTM(7, 7, batch_first=True)
        order = torch.cat([torch.arange(14), torch.arange(21, 28), torch.arange(14, 21)])  # torch has i, f, g, o
        with torch.no_grad():
            given = {"ih": (made.from_token[member].T, made.bias[member, 0]), "hh": (made.from_state[member].T, torch.zeros(28))}
            for name, (weight, bias) in given.items():
                plain.get_parameter(f"weight_{name}_l0").copy_(weight[order])
                plain.get_parameter(f"bias_{name}_l0").copy_(bias[order])
        outputs, _ = plain(made.tokens[member][tokens.long()])
        assert torch.allclose(vectors[member], outputs[:, -1], atol=1e-6)


def test_bits_and_operators_have_separate_tokens(generators: Generators) -> None:
    batch, form = population("nasbench101", 50)
    made = LSTM(form, Settings(recurrent=7), generators())
    [tokens] = made.tensors(batch, form)
    assert tokens.shape == (50, 26)
    assert set(tokens[:, :21].unique().tolist()) == {0, 1}
    assert set(tokens[:, 21:].unique().tolist()) == {2, 3, 4, 5}
    assert made.tokens.shape == (1, 6, 7)
