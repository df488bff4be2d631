"""The base class of encoders, which map architectures to vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from archsearch.evaluators.predictors.form import Form
from archsearch.spaces import GraphBatch


class Encoder(nn.Module, ABC):
    """Maps a population to vectors, for each member of an ensemble; see `stacked`.

    Attributes:
        features: Length of the vectors.
    """

    features: int
    at_once: ClassVar[int] = 512  # architectures that are scored at once: the states of more do not fit the cache
    fixed_size: ClassVar[bool] = False  # whether graphs must have the number of nodes that the encoder was made for

    @staticmethod
    @abstractmethod
    def tensors(batch: GraphBatch, form: Form) -> tuple[Tensor, ...]:
        """Return a population as the compact tensors that the encoder reads, `[batch, ...]` each."""

    def precompute(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the parameter-free part of the forward pass, computed once per batch and shared by its steps.

        Args:
            *tensors: `[members or 1, batch, ...]` each.
        """
        return tensors

    @abstractmethod
    def forward(self, *precomputed: Tensor) -> Tensor:
        """Return `[members, batch, features]` for what `precompute` returned."""


def nodes_in_order(batch: GraphBatch) -> tuple[Tensor, Tensor]:
    """Return graphs with operators on nodes, their nodes in the order inputs, others, padding.

    Returns:
        Operators `[batch, cells, nodes]` uint8, indices into the vocabulary, and its length as padding; edges
        `[batch, cells, nodes, nodes]` bool, where `[..., v, u]` is the edge from u to v.
    """
    operators, edges = torch.tensor(batch.operators), torch.tensor(batch.adjacency).transpose(2, 3)
    place = torch.where(operators == 0, 0, torch.where(operators < 0, 2, 1))
    if not (place.diff(dim=2) >= 0).all():
        order = place.argsort(dim=2, stable=True)
        operators = operators.gather(2, order)
        edges = edges.gather(2, order.unsqueeze(3).expand_as(edges)).gather(3, order.unsqueeze(2).expand_as(edges))
    return torch.where(operators < 0, len(batch.vocabulary), operators).to(torch.uint8), edges.contiguous()


def along_paths(edges: Tensor) -> list[int]:
    """Return a sequence of nodes, with repeats where needed, in which the nodes of each path occur in order.

    Args:
        edges: `[..., nodes, nodes]` bool, where `[..., u, v]` is the edge from u to v.
    """
    nodes = edges.shape[-1]
    return list(range(nodes)) * (nodes if edges.tril().any() else 1)
