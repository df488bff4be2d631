"""The encoding of SMASH: genes, not graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators import GHN
from archsearch.evaluators.ghn.flat_encoder import FlatEncoder
from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import Vocabulary
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TINY = {"scale": {"channels": 2, "cells_per_stage": 1}, "hidden": 8, "width": 16, "tile": 4, "batch_size": 16}


def test_codes_are_those_of_the_one_hot_genes() -> None:
    vocabulary = Vocabulary((), (), num_modules=2, num_nodes=3, gene_sizes=(3, 2))
    encoder = FlatEncoder(vocabulary, Settings(hidden=4), torch.Generator().manual_seed(0))
    genes = torch.tensor([[2, 1], [0, 0]])
    one_hot = torch.tensor([[0.0, 0, 1, 0, 1], [1, 0, 0, 1, 0]])
    expected = (one_hot @ encoder.first + encoder.bias).relu() @ encoder.second
    torch.testing.assert_close(encoder(genes), expected)
    assert encoder.place(1, 6).shape == (6, 4)
    assert encoder.place(1, 6)[4].equal(encoder.place(1, 6)[5]), "places beyond those met in training have the last embedding"


def test_weights_depend_on_all_genes_and_learn() -> None:
    ghn = GHN(SPACE, "digits", encoder="flat", **TINY).fit(3, report=lambda progress: None)
    # The two differ by an edge that is not the one whose weights are compared.
    one, other = SPACE.from_genotype([3, 1, 1, 1, 1, 1]), SPACE.from_genotype([3, 1, 1, 1, 1, 4])
    name = "steps.stage0_cell0_edge01.conv_weight"
    assert not torch.equal(ghn.generate(one)[name], ghn.generate(other)[name])
    again = GHN(SPACE, "digits", encoder="flat", **TINY).load(ghn.state())
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(3)]
    assert [each.metrics["valid_loss"] for each in again.evaluate(drawn)] == [
        each.metrics["valid_loss"] for each in ghn.evaluate(drawn)
    ]
    with pytest.raises(ConfigurationError, match="sizes"):
        GHN(SPACE, "digits", **TINY).load(ghn.state())
