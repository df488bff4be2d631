"""Sequences of genes: round trips in all built-in spaces, conditional genes, spaces with nothing to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import nn

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.spaces.gene_sequence import GeneSequences
from archsearch.spaces.module.choose import Choose
from archsearch.spaces.module.space import ModuleSpace
from archsearch.spaces.nasbench201 import NASBench201


@pytest.mark.parametrize("name", spaces.names())
def test_sequences_give_the_architectures_back(name: str) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    sequences = GeneSequences(space)
    drawn = [space.sample(rng) for _ in range(5)]
    rows = sequences.rows(drawn)
    assert rows.shape == (5, len(sequences.sizes))
    assert [sequences.architecture(row) for row in rows.tolist()] == drawn
    assert sequences.active(drawn).all()
    assert (rows < np.array(sequences.sizes)).all()


def test_genes_with_one_alternative_are_left_out() -> None:
    space = spaces.get("anytime")
    sequences = GeneSequences(space)
    assert "cell0_node1_predecessors" in space.choices
    assert "cell0_node1_predecessors" not in sequences.names
    assert min(sequences.sizes) == 2


def test_sequences_that_are_no_architecture_are_none() -> None:
    sequences = GeneSequences(spaces.get("nasbench101"))
    assert sequences.architecture([0] * 26) is None, "no path from input to output"


class OneOperator(NASBench201):
    @property
    def choices(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(super().choices, ("nor_conv_3x3",))


def test_a_space_with_one_operator_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="space: expected one with a gene that has two alternatives or more"):
        GeneSequences(OneOperator())


def layers(choose: Choose) -> nn.Module:
    """Return one to three layers, linear ones with or without a bias."""
    kinds = {"linear": lambda: nn.Linear(8, 8, bias=choose.one("bias", [True, False])), "identity": nn.Identity}
    return nn.Sequential(*choose.repeat("depth", 1, 3, lambda i: choose.layer("op", kinds)))


def test_conditional_genes_that_are_not_asked_are_inactive() -> None:
    conditional = ModuleSpace(layers, torch.zeros(1, 8))
    sequences, rng = GeneSequences(conditional), np.random.default_rng(0)
    drawn = [conditional.sample(rng) for _ in range(20)]
    for row, architecture in zip(sequences.active(drawn), drawn, strict=True):
        asked = conditional.active(architecture)
        assert {name for name, counts in zip(sequences.names, row, strict=True) if counts} == set(asked)
    assert not sequences.active(drawn).all(), "some choices are asked for some architectures only"
