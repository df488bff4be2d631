"""The methods that a search space derives from its choices, cells and network."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.enas import ENAS
from archsearch.spaces.nasbench201 import NASBench201

SPACE, SMALL = NASBench201(), ENAS(layers=2)
SCALE = {"channels": 4, "cells_per_stage": 1}


def test_size_is_the_number_of_genotypes() -> None:
    genotypes = list(SMALL.all_genotypes())
    assert SMALL.size == len(genotypes) == len(set(genotypes)) == 6 * 6 * 2


def test_samples_are_uniform_over_genotypes() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(SMALL.genotype(SMALL.sample(rng)) for _ in range(7200))
    assert len(counts) == 72
    assert max(abs(count - 100) for count in counts.values()) < 50


def test_mutations_are_uniform_over_genes_and_other_values() -> None:
    rng, parent = np.random.default_rng(0), SMALL.from_genotype((0, 0, 0))
    counts = Counter(SMALL.genotype(SMALL.mutate(parent, rng)) for _ in range(6000))
    assert counts.keys() == {(n, 0, 0) for n in range(1, 6)} | {(0, n, 0) for n in range(1, 6)} | {(0, 0, 1)}
    assert abs(counts[0, 0, 1] - 2000) < 200
    assert all(abs(count - 400) < 100 for genotype, count in counts.items() if genotype != (0, 0, 1))


def test_parameters_name_the_alternative_of_each_gene() -> None:
    architecture = SMALL.from_genotype((1, 4, 1))
    assert SMALL.params(architecture) == {"layer1": "sep3x3", "layer2": "avg3x3", "skip_0_2": 1}
    assert SMALL.from_params({"skip_0_2": 1, "layer2": "avg3x3", "layer1": "sep3x3"}) == architecture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer3": "sep3x3"}, r"params: enas2 has no gene 'layer3'. Did you mean 'layer[12]'\? Genes:"),
        ({"layer1": "conv"}, r"params\['layer1'\]: expected one of \['conv3x3', .*; got 'conv'"),
    ],
)
def test_wrong_parameters_are_explained(change: dict[str, object], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SMALL.from_params({**SMALL.params(SMALL.from_genotype((0, 0, 0))), **change})


def test_an_architecture_of_another_space_is_refused_with_a_hint() -> None:
    with pytest.raises(
        ArchitectureError, match=r"expected one of enas2; got one of nasbench201 .* Use spaces.get\('nasbench201'\)"
    ):
        SMALL.genotype(SPACE.from_genotype([0] * 6))


def test_scale_is_completed_by_the_defaults() -> None:
    assert SPACE.checked_scale({"channels": 4}) == {"channels": 4, "cells_per_stage": 5, "replicas": 1}
    with pytest.raises(ConfigurationError, match="no setting 'depth'. Settings: replicas, cells_per_stage, channels"):
        SPACE.checked_scale({"depth": 3})


def test_build_plan_and_cost_are_of_one_network() -> None:
    architecture = SPACE.from_genotype([3] * 6)
    network, plan = SPACE.build(architecture, 5, 3, **SCALE), SPACE.plan(architecture, 5, 3, **SCALE)
    assert network.plan == plan
    assert SPACE.cost(architecture, (3, 8, 8), 5, **SCALE) == plan.cost((3, 8, 8))
    same = SPACE.build(architecture, 5, 3, torch.Generator().manual_seed(0), **SCALE)
    assert all(torch.equal(left, right) for left, right in zip(network.parameters(), same.parameters(), strict=True))


def test_a_plan_has_an_output_for_each_exit() -> None:
    space = Anytime(nodes=(2, 2), exit_probability=1.0)
    assert len(space.plan(space.sample(np.random.default_rng(0)), 5, 3, channels=2).outputs) == 4 + 1
