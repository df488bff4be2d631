"""Processes of a training, in a real process group of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.processes import Processes, without_gradient_sync


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_one_process_shares_nothing() -> None:
    alone, model, value = Processes(), nn.Linear(2, 2), torch.tensor(3.0)
    assert alone.first
    assert alone.shared(model, torch.device("cpu")) is model
    assert alone.total(value) is value
    assert not Processes(1, 2).first


def test_without_a_group_there_are_no_processes() -> None:
    with pytest.raises(ConfigurationError, match=r"distributed: expected a process group; call torch\.distributed"):
        Processes.of_group()


@pytest.mark.usefixtures("group")
def test_gradients_are_not_reduced_within_the_block() -> None:
    assert Processes.of_group() == Processes(0, 1)
    model = DistributedDataParallel(nn.Linear(2, 1))
    assert model.require_backward_grad_sync
    with without_gradient_sync(model, True):
        assert not model.require_backward_grad_sync
        model(torch.ones(1, 2)).sum().backward()
    with without_gradient_sync(model, False):
        assert model.require_backward_grad_sync
        model(torch.ones(1, 2)).sum().backward()
    assert torch.equal(model.module.weight.grad, torch.full((1, 2), 2.0)), "gradients add up all the same"


def test_a_bare_model_has_nothing_to_skip() -> None:
    with without_gradient_sync(nn.Linear(2, 2), True):
        pass
