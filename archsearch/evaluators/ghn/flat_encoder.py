"""The flat encoding of an architecture, from which SMASH generates weights (A. Brock et al., ICLR 2018, arXiv 1708.05344)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from archsearch.evaluators.ghn.settings import Settings
from archsearch.evaluators.ghn.vocabulary import Vocabulary


class FlatEncoder(nn.Module):
    """Encodes a whole architecture as one vector: a perceptron of two layers reads the one-hot vectors of its genes.

    SMASH reads a binary array with the operators and connections of all layers (section 3.2); the genes hold the same. There is
    no graph network: the state of a node is this vector, plus embeddings of its operator and of its place in the network.

    Args:
        vocabulary: Numbers of modules, nodes and genes.
        settings: `hidden`, the size of the vector.
        generator: Source of the initial weights.
    """

    def __init__(self, vocabulary: Vocabulary, settings: Settings, generator: torch.Generator) -> None:
        super().__init__()
        width, genes = settings.hidden, sum(vocabulary.gene_sizes)
        starts = [sum(vocabulary.gene_sizes[:gene]) for gene in range(len(vocabulary.gene_sizes))]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.first = nn.Parameter(torch.randn((genes, width), generator=generator) / math.sqrt(max(1, len(starts))))
        self.second = nn.Parameter(torch.randn((width, width), generator=generator) * math.sqrt(2.0 / width))
        self.bias = nn.Parameter(torch.zeros(width))
        shape = (max(1, vocabulary.num_modules), vocabulary.num_nodes + 1, width)
        self.places = nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self, genes: Tensor) -> Tensor:
        """Return the codes of genotypes `[A, genes]`, `[A, hidden]`."""
        starts = self.get_buffer("starts")
        return (nn.functional.embedding(genes + starts, self.first).sum(1) + self.bias).relu() @ self.second

    def place(self, module: int, nodes: int) -> Tensor:
        """Return the embeddings of the places of a module's nodes, `[nodes, hidden]`; those beyond training have the last one."""
        table = self.places[min(module, len(self.places) - 1)]
        at = torch.arange(nodes, device=table.device).clamp(max=len(table) - 1)
        return table[at]
