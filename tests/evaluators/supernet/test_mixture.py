"""A mixture with one operator at each place is the network of that path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.evaluators.supernet.mixture import Mix, MixedPlan, mixed_plan
from archsearch.evaluators.supernet.places import Places
from archsearch.evaluators.supernet.shared_weights import SharedWeights, reads_of
from archsearch.spaces import Architecture, Builder, SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.cells import Cells
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.operators import GlobalAveragePool, Linear, conv_bn
from archsearch.spaces.plan import Plan

CASES = [
    (spaces.get("nasbench201"), {"channels": 4, "cells_per_stage": 1}),
    (spaces.get("nasnet"), {"channels": 2, "cells": 3}),
    (Cells(5), {"blocks": 3, "channels": 2}),
    (spaces.get("enas"), {"channels": 2}),
    (Anytime((2, 1)), {"channels": 2}),
]


def mixed(space: SearchSpace, genotype: Sequence[int], scale: dict[str, int]) -> tuple[MixedPlan, Plan]:
    def plan_of(genes: Sequence[int]) -> Plan:
        return space.plan(space.from_genotype(genes), 3, 1, **scale)

    return mixed_plan(space, Places.of(space), genotype, plan_of), plan_of(genotype)


@pytest.mark.parametrize(("space", "scale"), CASES)
def test_one_operator_at_each_place_is_the_path(space: SearchSpace, scale: dict[str, int]) -> None:
    rng, weights, images = np.random.default_rng(0), SharedWeights(0, torch.device("cpu")), torch.randn((2, 1, 8, 8))
    for _ in range(2):
        genotype = space.genotype(space.sample(rng))
        mixture, path = mixed(space, genotype, scale)
        weights.grow(mixture.reads)
        held = set(weights.values)
        weights.grow(reads_of(path).values())
        assert set(weights.values) == held, "a path has no weights of its own"
        one_hot = [torch.eye(size)[gene] for size, gene in zip(Places.of(space).sizes, genotype, strict=True)]
        with torch.no_grad():
            found = mixture.apply(images, weights.values, one_hot)
            parameters = dict.fromkeys(path.operators, ()) | weights.parameters(path)
            expected = path.apply(images, parameters)
        # Exits are ordered by their costs, which depend on the operators.
        assert len(found) == len(expected)
        torch.testing.assert_close(torch.stack(found).sum(0), torch.stack(expected).sum(0), atol=1e-5, rtol=1e-4)


def test_every_operator_is_at_every_place_once() -> None:
    space, scale = CASES[0]
    mixture, _ = mixed(space, [1] * 6, scale)
    mixes = [step for step in mixture.steps if isinstance(step, Mix)]
    # Three cells of six edges; `none` adds nothing to the sums of nodes 2 and 3, and is a zero at the only edge of node 1.
    assert [len(mix.terms) for mix in mixes].count(4) == 3 * 5
    assert [len(mix.terms) for mix in mixes].count(5) == 3
    names = [reads.name for reads in mixture.reads]
    assert names.count("stage1_cell0_edge23") == 2


class Entangled(NASBench201):
    """Its classifier depends on the first operator."""

    def network(self, build: Builder, architecture: Architecture, num_classes: int, **scale: int) -> int:
        genes = self.genotype(architecture)
        x = build.add("edge", conv_bn(build.in_channels, 4 + genes[0], 1 + 2 * (genes[1] % 2)), build.input)
        x = build.add("pool", GlobalAveragePool(), x)
        return build.add("classifier", Linear(4 + genes[0], num_classes), x)


def test_networks_that_differ_by_more_than_a_place_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="that place alone; in Entangled.. the step 'edge' depends on two places"):
        mixed(Entangled(), [0] * 6, {})
