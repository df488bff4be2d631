"""The auto-encoder of sequences: lengths, allowed tokens, decoding step by step."""

from __future__ import annotations

import itertools

import torch

from archsearch.evaluators.nao.model import SequenceAutoencoder

ALTERNATIVES = [[0, 1], [0, 1, 2], [3, 4]]


def model() -> SequenceAutoencoder:
    return SequenceAutoencoder(ALTERNATIVES, 5, 6, (4,), torch.Generator().manual_seed(0))


def test_encodings_have_length_one_and_predictions_are_fractions() -> None:
    made, tokens = model(), torch.tensor([[0, 2, 4], [1, 1, 3]])
    encoding = made.encode(tokens)
    torch.testing.assert_close(encoding.norm(dim=2), torch.ones(2, 3))
    predicted = made.predict(encoding)
    assert predicted.shape == (2,)
    assert ((predicted > 0) & (predicted < 1)).all()


def test_probabilities_of_all_sequences_add_up_to_one() -> None:
    made = model()
    every = torch.tensor(list(itertools.product(*ALTERNATIVES)))
    encoding = made.encode(torch.tensor([[0, 2, 4]])).expand(len(every), -1, -1)
    chances = made.log_probabilities(encoding, every).sum(1).exp()
    torch.testing.assert_close(chances.sum(), torch.tensor(1.0))


def test_decoding_takes_the_likeliest_token_of_each_gene_in_turn() -> None:
    made = model()
    encoding = made.encode(torch.tensor([[1, 0, 3], [0, 1, 4]]))
    for row, written in zip(encoding, made.decode(encoding).tolist(), strict=True):
        prefix: list[int] = []
        for place, alternatives in enumerate(ALTERNATIVES):
            rest = [tokens[0] for tokens in ALTERNATIVES[place + 1 :]]
            tries = torch.tensor([[*prefix, token, *rest] for token in alternatives])
            logs = made.log_probabilities(row.expand(len(tries), -1, -1), tries)[:, place]
            prefix.append(alternatives[int(logs.argmax())])
        assert written == prefix
