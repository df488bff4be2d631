"""The LSTM controller that draws paths through a supernet, gene by gene (H. Pham et al., ICML 2018, arXiv 1802.03268)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

_TEMPERATURE, _TANH = 5.0, 2.5  # of the authors' program


class Drawn(NamedTuple):
    """Paths that a policy drew.

    Args:
        genotypes: `[paths, genes]` int64.
        log_probabilities: `[paths]`, the logarithm of the probability of each path, in nats.
        entropies: `[paths]`, the sum over genes of the entropy of the distribution that the gene was drawn from, in nats.
    """

    genotypes: Tensor
    log_probabilities: Tensor
    entropies: Tensor


class PathPolicy(nn.Module):
    """A distribution over genotypes: an LSTM reads the alternative of each gene and gives the logits of the next.

    As in the authors' program logits are `2.5 * tanh(logits / 5)`, so that no alternative is ever impossible: between
    two alternatives the odds are at most `exp(5)` to 1.

    Args:
        sizes: Number of alternatives of each gene.
        generator: Source of the initial weights, uniform between -0.1 and 0.1.
        hidden: Units of the LSTM (ENAS: 100).

    Example:
        >>> import torch
        >>> from archsearch.evaluators.controller.path_policy import PathPolicy
        >>> policy = PathPolicy([5, 5, 2], torch.Generator().manual_seed(0))
        >>> policy.draw(4, torch.Generator().manual_seed(1)).genotypes.shape
        torch.Size([4, 3])
    """

    def __init__(self, sizes: Sequence[int], generator: torch.Generator, hidden: int = 64) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.start = nn.Parameter(torch.empty(hidden))
        self.embeddings = nn.ParameterList(nn.Parameter(torch.empty(size, hidden)) for size in self.sizes[:-1])
        self.heads = nn.ParameterList(nn.Parameter(torch.empty(size, hidden)) for size in self.sizes)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-0.1, 0.1, generator=generator)

    def draw(self, number: int, generator: torch.Generator) -> Drawn:
        """Draw paths; gradients flow through the probabilities."""

        def pick(logits: Tensor) -> Tensor:
            return torch.multinomial(torch.softmax(logits.detach(), 1), 1, generator=generator)[:, 0]

        return self._run(number, pick)

    def best(self) -> list[int]:
        """Return the genotype of the most probable alternative of each gene in turn."""
        with torch.no_grad():
            return [int(gene) for gene in self._run(1, lambda logits: logits.argmax(1)).genotypes[0]]

    def _run(self, number: int, pick: Callable[[Tensor], Tensor]) -> Drawn:
        read = self.start.expand(number, -1)
        state = (torch.zeros_like(read), torch.zeros_like(read))
        genes, chosen, entropies = [], [], []
        for at, head in enumerate(self.heads):
            state = self.cell(read, state)
            logits = _TANH * torch.tanh(nn.functional.linear(state[0], head) / _TEMPERATURE)
            logs = torch.log_softmax(logits, 1)
            gene = pick(logits)
            genes.append(gene)
            chosen.append(logs.gather(1, gene[:, None])[:, 0])
            entropies.append(-(logs.exp() * logs).sum(1))
            if at < len(self.embeddings):
                read = self.embeddings[at][gene]
        return Drawn(torch.stack(genes, 1), torch.stack(chosen).sum(0), torch.stack(entropies).sum(0))
