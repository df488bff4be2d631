"""Architectures as sequences of numbers of one length, for encoders that do not read graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from archsearch.evaluators.predictors.form import Form
from archsearch.spaces import GraphBatch


def bits_and_operators(batch: GraphBatch, form: Form) -> tuple[Tensor, Tensor]:
    """Return architectures as sequences of numbers of one length.

    In a space with operators on edges the row has no bits; it lists the operator of each pair of nodes (and slot). In one with
    operators on nodes the row lists, for each cell, the bits of the adjacency above its diagonal, 0>1, 0>2, 1>2, ..., and then
    the operators of the nodes between inputs and output. The output is brought to the last place, behind the padding.
    NAS-Bench-101: 21 bits and 5 operators; NAS-Bench-201: 6 operators.

    Args:
        batch: The population.
        form: Form of the graphs; a population with fewer nodes is padded to it.

    Returns:
        Bits `[batch, bits]` and operators `[batch, places]`, uint8. Operators count from 1, in the order of the vocabulary
        without input and output; 0 is padding, or no edge.
    """
    if batch.edges is not None:
        targets, sources = torch.tril_indices(form.width, form.width, -1)
        operators = torch.tensor(batch.edges)[..., sources, targets].flatten(1)
        return torch.empty((len(batch), 0), dtype=torch.uint8), (operators - 1).clamp(min=0).to(torch.uint8)
    missing = form.nodes - batch.operators.shape[-1]
    operators = torch.nn.functional.pad(torch.tensor(batch.operators), (0, missing), value=-1)
    edges = torch.nn.functional.pad(torch.tensor(batch.adjacency), (0, missing, 0, missing))
    order = _place(operators).argsort(dim=2, stable=True)
    operators = operators.gather(2, order)
    edges = edges.gather(2, order.unsqueeze(3).expand_as(edges)).gather(3, order.unsqueeze(2).expand_as(edges))
    targets, sources = torch.tril_indices(form.nodes, form.nodes, -1)
    inner = operators[..., form.inputs : -1].flatten(1)
    return edges[..., sources, targets].flatten(1).to(torch.uint8), (inner - 1).clamp(min=0).to(torch.uint8)


def _place(operators: Tensor) -> Tensor:
    """Return the order of an operator in the row: input, operator, padding, output."""
    return torch.where(operators == 0, 0, torch.where(operators == 1, 3, torch.where(operators < 0, 2, 1)))
