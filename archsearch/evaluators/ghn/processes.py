"""Several processes that train one graph hypernetwork: each draws its own architectures and images, gradients are averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ghn.graph_tensors import GraphTensors
from archsearch.evaluators.ghn.model import GraphHyperNetwork

Generate = Callable[[GraphTensors], Tensor]


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training.

    Args:
        rank: Number of this one, from 0. The first one reports and writes checkpoints.
        number: How many there are.
    """

    rank: int = 0
    number: int = 1

    @classmethod
    def of_group(cls) -> Processes:
        """Return those of the default process group of `torch.distributed`.

        Raises:
            ConfigurationError: There is none.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ConfigurationError(
                "distributed: expected a process group; call torch.distributed.init_process_group first, or use "
                "archsearch.cluster.train_ghn, which does."
            )
        return cls(distributed.get_rank(), distributed.get_world_size())

    def shared(self, model: GraphHyperNetwork, device: torch.device) -> Generate:
        """Return the model for use in training; with several processes its gradients are averaged over all of them."""
        if self.number == 1:
            return model
        # A step asks for the outputs that its architectures need, so that others have no gradient.
        devices = [device] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=devices, find_unused_parameters=True)
