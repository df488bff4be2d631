"""Division of images by classes, sets of labels and numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.evaluators.datasets import stratified_split
from archsearch.evaluators.datasets.split_rows import multilabel_split, random_split, split_rows

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


@given(st.integers(0, 40), st.integers(1, 5), _FRACTIONS, st.integers(0, 3))
@settings(deadline=None)
def test_labels_and_numbers_give_each_image_to_one_part(
    images: int, labels: int, fractions: tuple[float, ...], seed: int
) -> None:
    has = np.random.default_rng(seed).random((images, labels)) < 0.3
    for parts in (multilabel_split(has, fractions, seed), random_split(images, fractions, seed)):
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(images))
        assert images < len(fractions) or all(map(len, parts))


def test_rare_labels_are_in_all_parts() -> None:
    rng = np.random.default_rng(0)
    has = rng.random((1000, 4)) < [0.5, 0.2, 0.05, 0.02]
    parts = multilabel_split(has, (0.8, 0.1, 0.1))
    assert [len(part) for part in parts] == [800, 100, 100]
    shares = np.stack([has[part].sum(0) for part in parts]) / has.sum(0)
    np.testing.assert_allclose(shares, np.array([[0.8], [0.1], [0.1]]) + np.zeros(4), atol=0.05)


def test_the_kind_of_labels_decides() -> None:
    has = np.random.default_rng(0).random((30, 3)) < 0.4
    for expected, labels in (
        (stratified_split(np.arange(30) % 3, (0.8, 0.2)), np.arange(30) % 3),
        (multilabel_split(has, (0.8, 0.2)), has),
        (random_split(30, (0.8, 0.2)), np.zeros((30, 2))),
    ):
        assert all(map(np.array_equal, split_rows(labels, (0.8, 0.2)), expected))
