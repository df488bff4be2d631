"""Data-parallel training of one model by several processes, whose gradients are averaged (DDP)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from archsearch.errors import ConfigurationError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """Rank of this process and number of processes of a training.

    Args:
        rank: Number of this process, from 0. The first one reports and writes checkpoints.
        number: Number of processes.
    """

    rank: int = 0
    number: int = 1

    @classmethod
    def of_group(cls) -> Processes:
        """Return the processes of the default process group of `torch.distributed`.

        Raises:
            ConfigurationError: There is no process group.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ConfigurationError(
                "distributed: expected a process group; call torch.distributed.init_process_group first, or use "
                "archsearch.cluster.train_ghn, which does."
            )
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process reports and writes checkpoints."""
        return self.rank == 0

    def shared(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the model for use in training; with several processes its gradients are averaged over all of them."""
        if self.number == 1:
            return model
        # Not all parameters have a gradient in each step: what reaches no output of an architecture has none.
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, find_unused_parameters=True)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.number > 1:
            distributed.all_reduce(value)
        return value

    def same_buffers(self, model: nn.Module) -> None:
        """Give all processes the buffers of the first one, such as the running statistics; all must call this."""
        if self.number > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def gathered(self, value: T) -> list[T]:
        """Return a value of each process, by rank; all must call this."""
        if self.number == 1:
            return [value]
        found: list[T | None] = [None] * self.number
        distributed.all_gather_object(found, value)
        return cast("list[T]", found)

    def agreed(self, value: bool, device: torch.device) -> bool:
        """Return what the first process says; all must call this."""
        if self.number == 1:
            return value
        said = torch.tensor(int(value), device=device)
        distributed.broadcast(said, 0)
        return bool(said)


@contextmanager
def without_gradient_sync(model: nn.Module, when: bool) -> Iterator[None]:
    """Skip DDP's all-reduce of gradients within the block: for all micro-batches of a step but the last.

    Args:
        model: As `Processes.shared` returned it. Without DDP there is nothing to skip.
        when: Whether to skip it.
    """
    if when and isinstance(model, DistributedDataParallel):
        with model.no_sync():
            yield
    else:
        yield
