"""Replicas in one stacked network against each network alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from archsearch.evaluators.training.replicas import stacked_network
from archsearch.spaces.nasbench201 import NASBench201
from archsearch.spaces.network import Network

SPACE = NASBench201()
TEXT = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
SCALE = {"channels": 4, "cells_per_stage": 1}


def images(seed: int = 0, size: int = 8) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(seed))


def replicas(count: int) -> tuple[list[Network], Network]:
    """Return networks of their own seeds, and their stack."""
    architecture = SPACE.parse(TEXT)
    alone = [SPACE.build(architecture, 5, 3, torch.Generator().manual_seed(seed), **SCALE) for seed in range(count)]
    generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
    return alone, stacked_network(SPACE, architecture, 5, 3, generators, SCALE)


@pytest.mark.parametrize("count", [2, 3])
def test_stacked_replicas_compute_what_each_computes_alone(count: int) -> None:
    alone, stack = replicas(count)
    batches = [images(seed) for seed in range(count)]
    for training in (True, False):
        expected = torch.cat([network.train(training)(batch) for network, batch in zip(alone, batches, strict=True)], 1)
        torch.testing.assert_close(stack.train(training)(torch.cat(batches, 1)), expected)


def test_stacked_replicas_get_the_gradients_that_each_gets_alone() -> None:
    alone, stack = replicas(2)
    batches, labels = [images(1), images(2)], torch.tensor([0, 1, 2, 3])
    for network, batch in zip(alone, batches, strict=True):
        F.cross_entropy(network(batch), labels).backward()
    left, right = stack(torch.cat(batches, 1)).chunk(2, dim=1)
    (F.cross_entropy(left, labels) + F.cross_entropy(right, labels)).backward()
    for target, *parts in zip(stack.parameters(), *(network.parameters() for network in alone), strict=True):
        gradients = [torch.zeros_like(part) if part.grad is None else part.grad for part in parts]
        actual = torch.zeros_like(target) if target.grad is None else target.grad
        torch.testing.assert_close(actual, torch.cat(gradients), rtol=1e-3, atol=1e-5)


def test_one_replica_is_the_network_itself() -> None:
    alone, stack = replicas(1)
    assert torch.equal(stack(images()), alone[0](images()))
