from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.spaces.module import Choose


def first() -> Choose:
    return Choose(lambda choice: 0)


def last() -> Choose:
    return Choose(lambda choice: len(choice.words) - 1)


def test_each_method_returns_what_is_chosen() -> None:
    choose = last()
    assert choose.one("width", [16, 32]) == 32
    assert choose.one("act", {"relu": nn.ReLU, "gelu": nn.GELU}) is nn.GELU
    assert isinstance(choose.layer("op", {"conv": lambda: nn.Conv2d(1, 1, 1), "skip": nn.Identity}), nn.Identity)
    assert choose.layer("edge", {"conv": lambda: nn.Conv2d(1, 1, 1), "none": None}) is None
    assert choose.repeat("depth", 0, 3, lambda i: i * 10) == [0, 10, 20]
    assert choose.subset("inputs", ["a", "b", "c"], least=0, most=2) == ["b", "c"]
    assert first().subset("inputs", ["a", "b"], least=0) == []


def test_only_the_chosen_alternative_is_made() -> None:
    def fails() -> nn.Module:
        raise AssertionError("this alternative was not chosen")

    assert isinstance(first().layer("op", {"skip": nn.Identity, "other": fails}), nn.Identity)


def test_names_are_local_to_alternatives_and_items_and_know_what_opens_them() -> None:
    choose = last()

    def layer(_: int) -> nn.Module:
        return choose.layer("op", {"skip": nn.Identity, "conv": lambda: nn.Conv2d(1, 1, choose.one("kernel", [1, 3]))})

    choose.repeat("depth", 1, 2, layer)
    opened = {choice.name: (choice.parent, set(choice.opened_by)) for choice, _ in choose.asked}
    assert opened == {
        "depth": (None, set()),
        "depth.0.op": (None, set()),  # always there
        "depth.0.op.conv.kernel": ("depth.0.op", {1}),
        "depth.1.op": ("depth", {1}),
        "depth.1.op.conv.kernel": ("depth.1.op", {1}),
    }


def test_a_choice_of_one_alternative_is_none() -> None:
    choose = first()
    assert choose.one("width", [16]) == 16
    assert choose.repeat("depth", 2, 2, lambda i: choose.one("kernel", [1, 3])) == [1, 1]
    assert [choice.name for choice, _ in choose.asked] == ["depth.0.kernel", "depth.1.kernel"]


def test_a_shared_choice_is_asked_once_and_makes_a_layer_in_each_place() -> None:
    choose = last()
    alternatives = {"skip": nn.Identity, "conv": lambda: nn.Conv2d(1, 1, choose.one("kernel", [1, 3]))}
    one, two = (choose.layer("op", alternatives, shared=True) for _ in range(2))
    assert one is not two
    assert one.kernel_size == two.kernel_size == (3, 3)
    assert [choice.name for choice, _ in choose.asked] == ["op", "op.conv.kernel"]
    assert [mark.again for _, mark in choose.marks] == [False, True]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda c: (c.one("a", [1, 2]), c.one("a", [1, 2])), "the name 'a' is taken.*number it, such as a0, a1.*shared=True"),
        (lambda c: (c.one("a", [1, 2], shared=True), c.one("a", [1, 3], shared=True)), "alternatives of the first place"),
        (lambda c: c.one("a b", [1, 2]), "a name of letters, digits, _ and -; got 'a b'"),
        (lambda c: c.one(3, [1, 2]), "expected the name of the choice first; got 3"),
        (lambda c: c.one("a", []), "at least one alternative for 'a'; got none"),
        (lambda c: c.one("a", "xy"), "expected a list; got 'xy'"),
        (lambda c: c.one("a", [1, "1"]), "written as different words"),
        (lambda c: c.one("a", [nn.ReLU, nn.GELU]), "numbers, strings, bools or None, or a mapping.*the class ReLU"),
        (lambda c: c.layer("a", [nn.ReLU]), "a mapping from names to functions"),
        (lambda c: c.layer("a", {"x": lambda: 3, "y": nn.ReLU}), r"choose.layer\('a'\)\['x'\].*returns a module; got 3"),
        (lambda c: c.layer("a", {"x=1": nn.ReLU}), "expected names of letters.*got 'x=1'"),
        (lambda c: c.repeat("a", 3, 2, int), "0 <= least <= most; got least=3"),
        (lambda c: c.repeat("a", 1, True, int), "expected whole numbers"),
        (lambda c: c.subset("a", [1, 2], least=3), "0 <= least <= most <= 2"),
        (lambda c: c.subset("a", range(30)), "at most 4,096 subsets.*choose.one"),
    ],
)
def test_wrong_choices_are_refused_and_named(use: Callable[[Choose], Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        use(first())
