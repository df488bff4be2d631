from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.evaluators.datasets import stratified_split

_LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array)
_FRACTIONS = st.sampled_from([(0.9, 0.1), (0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (1.0,)])


@given(_LABELS, _FRACTIONS, st.integers(0, 3))
@settings(deadline=None)
def test_each_image_is_in_exactly_one_part(labels: np.ndarray, fractions: tuple[float, ...], seed: int) -> None:
    parts = stratified_split(labels, fractions, seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert all(np.array_equal(part, np.sort(part)) for part in parts)


@given(_LABELS, _FRACTIONS)
@settings(deadline=None)
def test_each_class_has_its_share_of_each_part(labels: np.ndarray, fractions: tuple[float, ...]) -> None:
    parts = stratified_split(labels, fractions)
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        held = [int((labels[part] == label).sum()) for part in parts]
        if count >= len(fractions):
            assert min(held) >= 1
        for number, fraction in zip(held, fractions, strict=True):
            assert abs(number - fraction * count) <= len(fractions)


def test_proportions_are_exact_where_they_can_be() -> None:
    labels = np.repeat(np.arange(10), 5000)
    train, validation = stratified_split(labels, (0.9, 0.1))
    assert np.bincount(labels[train]).tolist() == [4500] * 10
    assert np.bincount(labels[validation]).tolist() == [500] * 10


def test_the_seed_alone_decides() -> None:
    labels = np.arange(200) % 4
    once, again, other = (stratified_split(labels, (0.5, 0.5), seed)[0] for seed in (7, 7, 8))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
