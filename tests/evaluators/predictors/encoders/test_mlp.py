"""The identity as an encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from archsearch import spaces
from archsearch.evaluators.predictors.encoders.mlp import RawNumbers
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.predictors.settings import Settings
from archsearch.spaces import GraphBatch

Generators = Callable[..., list[torch.Generator]]


def population(name: str, number: int) -> tuple[GraphBatch, Form]:
    space, rng = spaces.get(name), np.random.default_rng(0)
    batch = space.encode([space.sample(rng) for _ in range(number)])
    return batch, Form.of(batch, space.num_inputs)


def test_mlp_takes_the_numbers_as_they_are(generators: Generators) -> None:
    batch, form = population("nasbench101", 10)
    made = RawNumbers(form, Settings(), generators(0, 1))
    [rows] = made.tensors(batch, form)
    assert rows.shape == (10, made.features) == (10, 26)
    assert torch.equal(made(rows.unsqueeze(0)), rows.float().expand(2, 10, 26))
