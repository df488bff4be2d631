"""The policy against a twin that takes one decision at a time with the equations of the LSTM, and its draws."""

from __future__ import annotations

import torch
from scipy import stats

from archsearch.evaluators.controller.sequence_policy import SequencePolicy


def policy(sizes: tuple[int, ...] = (3, 2, 4), initial: float = 0.5) -> SequencePolicy:
    return SequencePolicy(sizes, 6, 1, initial, torch.Generator().manual_seed(3))


def chances_by_hand(model: SequencePolicy, row: list[int]) -> list[torch.Tensor]:
    """Return the probabilities of each decision of one sequence, with the equations of the LSTM written out."""
    state, memory = torch.zeros(6), torch.zeros(6)
    token, start, found = model.embedding[0], 0, []
    for decided, size in zip(row, model.sizes, strict=True):
        both = model.lstm.weight_ih_l0 @ token + model.lstm.bias_ih_l0 + model.lstm.weight_hh_l0 @ state + model.lstm.bias_hh_l0
        entry, forget, new, output = both.chunk(4)
        memory = forget.sigmoid() * memory + entry.sigmoid() * new.tanh()
        state = output.sigmoid() * memory.tanh()
        found.append((model.weight[start : start + size] @ state + model.bias[start : start + size]).softmax(0))
        token = model.embedding[1 + start + decided]
        start += size
    return found


def test_probabilities_and_entropies_are_those_of_the_equations() -> None:
    model = policy()
    rows = [[0, 1, 3], [2, 0, 1]]
    logs, entropies = model(torch.tensor(rows))
    for row, log, entropy in zip(rows, logs, entropies, strict=True):
        chances = chances_by_hand(model, row)
        expected = torch.stack([each[place].log() for each, place in zip(chances, row, strict=True)])
        torch.testing.assert_close(log, expected)
        torch.testing.assert_close(entropy, torch.stack([-(each * each.log()).sum() for each in chances]))


def test_draws_follow_the_probabilities() -> None:
    model = policy((2, 3), initial=2.0)
    drawn = model.sample(4000, torch.Generator().manual_seed(0))
    every = torch.tensor([[first, second] for first in range(2) for second in range(3)])
    with torch.no_grad():
        expected = model(every)[0].sum(1).exp()
    torch.testing.assert_close(expected.sum(), torch.tensor(1.0))
    counts = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=6)
    chances = expected.double() / expected.double().sum()
    assert stats.chisquare(counts.numpy(), 4000 * chances.numpy()).pvalue > 1e-3


def test_draws_depend_on_their_generator_alone() -> None:
    model = policy()
    first, again, other = (model.sample(20, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_weights_are_uniform_in_their_range() -> None:
    values = torch.cat([each.detach().flatten() for each in policy(initial=0.1).parameters()])
    assert values.abs().max() <= 0.1
    assert values.std() > 0.05
