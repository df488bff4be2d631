"""Encoder, predictor and decoder of sequences of decisions.

R. Luo, F. Tian, T. Qin, E. Chen, T. Liu, "Neural Architecture Optimization", NeurIPS 2018, arXiv 1808.07233, section 3:

- The encoder E is an LSTM; the encoding e_x are its states at all places, each of length 1.
- The predictor f is a perceptron on the mean of the encoding, with a sigmoid.
- The decoder D is an LSTM that starts from this mean and attends to the encoding; it writes one decision after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class SequenceAutoencoder(nn.Module):
    """Maps sequences of tokens to encodings, predicts from them, and writes sequences again.

    A decision is written as one of the tokens that its gene may have, so that every value is one of the space.

    Args:
        alternatives: For each gene the tokens of its alternatives, `[alternatives]` each.
        num_tokens: Number of tokens.
        hidden: Features of embeddings and states.
        head: Widths of the hidden layers of the predictor.
        generator: Generator of the weights.

    Example:
        >>> import torch
        >>> model = SequenceAutoencoder([[0, 1], [0, 1, 2]], 3, 8, (8,), torch.Generator().manual_seed(0))
        >>> encoding = model.encode(torch.tensor([[1, 2]]))
        >>> encoding.shape, model.decode(encoding).shape
        (torch.Size([1, 2, 8]), torch.Size([1, 2]))
    """

    def __init__(
        self,
        alternatives: Sequence[Sequence[int]],
        num_tokens: int,
        hidden: int,
        head: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.read = nn.Parameter(torch.empty(num_tokens, hidden))
        self.encoder = nn.LSTM(hidden, hidden, batch_first=True)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([hidden, *head]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.predictor = nn.Sequential(*layers, nn.Linear(head[-1] if head else hidden, 1), nn.Sigmoid())
        self.written = nn.Parameter(torch.empty(num_tokens + 1, hidden))  # the last one is the start
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.mixed = nn.Linear(2 * hidden, hidden)
        self.output = nn.Linear(hidden, num_tokens)
        allowed = torch.zeros(len(alternatives), num_tokens, dtype=torch.bool)
        for row, tokens in zip(allowed, alternatives, strict=True):
            row[torch.as_tensor(tokens)] = True
        self.register_buffer("allowed", allowed, persistent=False)
        self.allowed: Tensor
        bound = hidden**-0.5
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the encoding of sequences `[batch, genes]`: `[batch, genes, hidden]`, vectors of length 1."""
        states, _ = self.encoder(self.read[tokens])
        return unit(states)

    def predict(self, encoding: Tensor) -> Tensor:
        """Return the predicted performance, 0 to 1, of encodings `[batch, genes, hidden]`: `[batch]`."""
        found: Tensor = self.predictor(self.summary(encoding)).squeeze(1)
        return found

    def log_probabilities(self, encoding: Tensor, tokens: Tensor) -> Tensor:
        """Return the log-probability of each decision of sequences, given their encodings, `[batch, genes]`."""
        start = torch.full_like(tokens[:, :1], len(self.written) - 1)
        before = self.written[torch.cat([start, tokens[:, :-1]], dim=1)]
        states, _ = self.decoder(before, self._memory(encoding))
        logits = self._logits(states, encoding).masked_fill(~self.allowed, -torch.inf)
        return logits.log_softmax(2).gather(2, tokens.unsqueeze(2)).squeeze(2)

    @torch.no_grad()
    def decode(self, encoding: Tensor) -> Tensor:
        """Return the likeliest decision of each gene in turn, `[batch, genes]` tokens."""
        token = self.written[-1:].expand(len(encoding), 1, -1)
        memory, found = self._memory(encoding), []
        for allowed in self.allowed:
            state, memory = self.decoder(token, memory)
            decided = self._logits(state, encoding)[:, 0].masked_fill(~allowed, -torch.inf).argmax(1)
            found.append(decided)
            token = self.written[decided].unsqueeze(1)
        return torch.stack(found, dim=1)

    @staticmethod
    def summary(encoding: Tensor) -> Tensor:
        """Return the mean of an encoding over its places, of length 1: `[batch, hidden]`."""
        return unit(encoding.mean(1))

    def _memory(self, encoding: Tensor) -> tuple[Tensor, Tensor]:
        summary = self.summary(encoding).unsqueeze(0)
        return summary, summary

    def _logits(self, states: Tensor, encoding: Tensor) -> Tensor:
        """Return logits of tokens `[batch, written, tokens]`, from the decoder's states and what they attend to."""
        weights = (states @ encoding.transpose(1, 2)).softmax(2)
        both = torch.cat([weights @ encoding, states], dim=2)
        logits: Tensor = self.output(self.mixed(both).tanh())
        return logits


def unit(vectors: Tensor) -> Tensor:
    """Return vectors of length 1, `[..., features]`."""
    return nn.functional.normalize(vectors, dim=-1)
