"""An LSTM that writes sequences of decisions, each from a softmax of its own.

The controller of B. Zoph and Q. Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017, arXiv 1611.01578, figure
5, and of B. Zoph et al., CVPR 2018, arXiv 1707.07012: the state h_t of the LSTM after the decisions a_1 .. a_(t-1) gives the
probabilities softmax(W_t h_t + b_t) of decision t, and the embedding of what was decided is the next input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Memory = tuple[Tensor, Tensor]


class SequencePolicy(nn.Module):
    """Probabilities of sequences with a fixed number of decisions.

    Args:
        sizes: Number of alternatives of each decision.
        hidden: Features of embeddings and states.
        layers: Layers of the LSTM.
        initial: All weights are drawn uniformly from -initial to initial.
        generator: Generator of the weights.

    Example:
        >>> import torch
        >>> policy = SequencePolicy((3, 2), 8, 1, 0.1, torch.Generator().manual_seed(0))
        >>> policy.sample(4, torch.Generator().manual_seed(1)).shape
        torch.Size([4, 2])
    """

    def __init__(self, sizes: Sequence[int], hidden: int, layers: int, initial: float, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        first = [sum(self.sizes[:place]) for place in range(len(self.sizes))]
        self._spans = [(start, start + size) for start, size in zip(first, self.sizes, strict=True)]
        self.embedding = nn.Parameter(torch.empty(1 + sum(self.sizes), hidden))  # the start, then each alternative
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.weight = nn.Parameter(torch.empty(sum(self.sizes), hidden))
        self.bias = nn.Parameter(torch.empty(sum(self.sizes)))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-initial, initial, generator=generator)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Return sequences drawn from the policy, `[count, decisions]` int64."""
        token = self.embedding[:1].expand(count, 1, -1)
        memory: Memory | None = None
        drawn = []
        for place, (start, _) in enumerate(self._spans):
            state, memory = self.lstm(token, memory)
            chances = self._logits(state[:, 0], place).softmax(1)
            decided = torch.multinomial(chances, 1, generator=generator).squeeze(1)
            drawn.append(decided)
            token = self.embedding[1 + start + decided].unsqueeze(1)
        return torch.stack(drawn, dim=1)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability of each decision of given sequences, and the entropy (nats) where it was made.

        Args:
            rows: `[batch, decisions]` int64.

        Returns:
            Two tensors `[batch, decisions]`.
        """
        offsets = torch.tensor([1 + start for start, _ in self._spans])
        tokens = torch.cat([torch.zeros_like(rows[:, :1]), (rows + offsets)[:, :-1]], dim=1)
        states, _ = self.lstm(self.embedding[tokens])
        chosen, entropies = [], []
        for place in range(len(self.sizes)):
            logs = self._logits(states[:, place], place).log_softmax(1)
            chosen.append(logs.gather(1, rows[:, place : place + 1]).squeeze(1))
            entropies.append(-(logs.exp() * logs).sum(1))
        return torch.stack(chosen, dim=1), torch.stack(entropies, dim=1)

    def _logits(self, state: Tensor, place: int) -> Tensor:
        start, end = self._spans[place]
        return nn.functional.linear(state, self.weight[start:end], self.bias[start:end])
