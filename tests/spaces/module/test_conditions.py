from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from archsearch.spaces.module.choose import Choice, Choose
from archsearch.spaces.module.conditions import Conditions, conditions_of


def asked(build, answer) -> list[tuple[Choice, int]]:
    choose = Choose(answer)
    build(choose)
    return choose.asked


def found(build, runs: int = 200) -> Conditions:
    draw = random.Random(0)
    return conditions_of([asked(build, lambda choice: draw.randrange(len(choice.words))) for _ in range(runs)])


def architectures(build) -> set[tuple[tuple[str, int], ...]]:
    """Return the answers of all runs, by trying each sequence of numbers."""
    results = set()
    for numbers in itertools.product(range(3), repeat=6):
        given = iter(numbers)
        results.add(tuple((c.name, n) for c, n in asked(build, lambda choice, given=given: next(given) % len(choice.words))))
    return results


def nested(choose: Choose) -> None:
    choose.repeat(
        "depth", 1, 2, lambda i: choose.layer("op", {"skip": None, "conv": lambda: choose.one("k", [1, 3, 5]) and None})
    )


def by_if(choose: Choose) -> None:
    if choose.one("a", [1, 2, 3]) > 1 and choose.one("b", [1, 2]) == 2:
        choose.one("c", [1, 2, 3])
    if choose.one("d", [1, 2]) == 1:
        choose.one("e", [1, 2])


@pytest.mark.parametrize("build", [nested, by_if])
def test_size_and_listing_agree_with_all_runs(build) -> None:
    conditions, expected = found(build), architectures(build)
    listed = [tuple(answers.items()) for answers in conditions.combinations()]
    assert conditions.size_is_exact
    assert conditions.size == len(listed) == len(expected)
    assert set(map(frozenset, listed)) == set(map(frozenset, expected))
    assert conditions.conditional


def test_rules_are_needed_only_where_no_alternative_opens_the_choice() -> None:
    assert not found(nested).rules
    assert found(by_if).rules.keys() == {"b", "c", "e"}


def test_answers_are_asked_in_an_order_that_builds_agree_with() -> None:
    def build(choose: Choose) -> None:
        if choose.one("first", [0, 1]):
            choose.one("middle", [0, 1])
        choose.one("last", [0, 1])

    assert [choice.name for choice in found(build).choices] == ["first", "middle", "last"]


def test_a_size_that_cannot_be_counted_is_a_bound_that_says_so() -> None:
    def build(choose: Choose) -> None:
        total = sum(choose.one(f"bit{place}", [0, 1]) for place in range(18))
        if total > 9:
            choose.one("more", [0, 1])

    conditions = found(build, 100)
    assert conditions.size <= 2**19
    assert conditions.size_is_exact or conditions.size == 2**19
    rng = np.random.default_rng(0)
    assert len(conditions.answered(lambda choice: int(rng.integers(len(choice.words))))) >= 18
