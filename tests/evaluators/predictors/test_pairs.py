"""Pairs against loops over all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archsearch.evaluators.predictors import pairs
from archsearch.evaluators.predictors.pairs import Pairs, all_gaps

Generators = Callable[..., list[torch.Generator]]
TARGETS = torch.tensor([[1.0, 3.0, 3.0, 2.0], [4.0, 1.0, 2.0, 3.0]])


def test_all_gaps_are_those_of_all_pairs() -> None:
    scores = torch.tensor([[0.5, 1.0, -1.0, 0.0], [0.0, 1.0, 2.0, 4.0]])
    gaps, weights = all_gaps(scores, TARGETS)
    for member, count in enumerate((5, 6)):
        for worse, better in itertools.product(range(4), repeat=2):
            assert gaps[member, worse, better] == scores[member, better] - scores[member, worse]
            right = bool(TARGETS[member, better] > TARGETS[member, worse])
            assert float(weights[member, worse, better]) == pytest.approx(1.0 / count if right else 0.0)


def test_equal_targets_have_no_weight(generators: Generators) -> None:
    assert all_gaps(torch.ones(1, 3), torch.ones(1, 3))[1].sum() == 0
    assert Pairs(torch.ones(1, 3), 2).draw(generators())[2].tolist() == [[0.0, 0.0, 0.0]]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.integers(1, 6), st.integers(0, 9))
def test_drawn_pairs_are_distinct_and_in_order(values: list[int], per_architecture: int, seed: int) -> None:
    targets = torch.tensor([values], dtype=torch.float32)
    worse, better, weights = Pairs(targets, per_architecture).draw([torch.Generator().manual_seed(seed)])
    used = weights[0] > 0
    drawn = list(zip(worse[0, used].tolist(), better[0, used].tolist(), strict=True))
    possible = sum(a != b for a, b in itertools.combinations(values, 2))
    assert len(drawn) == len(set(drawn)) == min(possible, per_architecture * len(values))
    assert all(values[low] < values[high] for low, high in drawn)
    assert possible == 0 or float(weights.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("listed", [50_000, 0])
def test_drawn_pairs_are_uniform(listed: int, generators: Generators, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed pairs, and numbered ones, which a larger batch has."""
    monkeypatch.setattr(pairs, "_LISTED", listed)
    monkeypatch.setattr(pairs, "_SHARE", 1)
    [generator] = generators(0)
    targets = torch.arange(6.0)[None]
    counts = torch.zeros(6, 6)
    for _ in range(1000):
        worse, better, _ = Pairs(targets, 1).draw([generator])
        counts[worse[0], better[0]] += 1
    seen = counts[counts > 0]
    assert len(seen) == 15
    assert (seen - 400).abs().max() < 80, "6 of 15 pairs a draw; 5 standard deviations are 77"


def test_pairs_of_a_large_batch_are_distinct_and_in_order(generators: Generators) -> None:
    """With ties, of which none is drawn; the batch has too many pairs to list them."""
    targets = torch.stack([torch.arange(400) // 3, torch.arange(400).flip(0)]).float()
    worse, better, weights = Pairs(targets, 4).draw(generators(0, 1))
    for member, row in enumerate(targets):
        drawn = list(zip(worse[member].tolist(), better[member].tolist(), strict=True))
        assert len(set(drawn)) == len(drawn) == 1600
        assert (row[worse[member]] < row[better[member]]).all()
    torch.testing.assert_close(weights, torch.full((2, 1600), 1 / 1600))


def test_members_draw_independently(generators: Generators) -> None:
    targets = torch.arange(30.0).expand(2, -1)
    both = Pairs(targets, 2).draw(generators(3, 8))
    alone = Pairs(targets[:1], 2).draw(generators(8))
    assert all(torch.equal(pair[1], single[0]) for pair, single in zip(both, alone, strict=True))
    assert not torch.equal(both[0][0], both[0][1])


RUNGS = torch.tensor([[0, 0, 0, 0, 1, 1, 2], [2, 1, 1, 0, 0, 0, 0]])
SCORES = torch.tensor([[1.0, 2.0, 3.0, 4.0, 9.0, 8.0, 7.0], [5.0, 5.0, 6.0, 1.0, 1.0, 2.0, 2.0]])


def test_pairs_are_within_rungs_and_weigh_twice_as_much_on_the_next_rung(generators: Generators) -> None:
    worse, better, weights = Pairs(SCORES, 10, RUNGS).draw(generators(0, 1))
    possible = ({(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (5, 4)}, {(1, 2), (3, 5), (3, 6), (4, 5), (4, 6)})
    for member, expected in enumerate(possible):
        used = weights[member] > 0
        assert set(zip(worse[member, used].tolist(), better[member, used].tolist(), strict=True)) == expected
        rungs = RUNGS[member, worse[member]]
        shares = [float(weights[member, used & (rungs == rung)].sum()) for rung in (0, 1)]
        assert shares == pytest.approx([1 / 3, 2 / 3])


def test_a_small_rung_is_drawn_as_often_as_if_it_were_alone(generators: Generators) -> None:
    targets, rungs = torch.arange(44.0)[None], torch.tensor([[0] * 40 + [1] * 4])
    worse, _, weights = Pairs(targets, 1, rungs).draw(generators(0))
    assert torch.bincount(rungs[0, worse[0]]).tolist() == [40, 4]
    assert weights.min() > 0


def test_one_rung_is_as_no_rungs(generators: Generators) -> None:
    targets = torch.arange(9.0).expand(2, -1)
    plain, one = Pairs(targets, 2).draw(generators(3, 4)), Pairs(targets, 2, torch.zeros(2, 9)).draw(generators(3, 4))
    assert all(torch.equal(first, second) for first, second in zip(plain[:2], one[:2], strict=True))
    torch.testing.assert_close(plain[2], one[2])


def test_rungs_without_any_pair_have_no_weight(generators: Generators) -> None:
    worse, better, weights = Pairs(torch.tensor([[1.0, 2.0]]), 2, torch.tensor([[0, 1]])).draw(generators(0))
    assert worse.shape == better.shape == weights.shape == (1, 0)
