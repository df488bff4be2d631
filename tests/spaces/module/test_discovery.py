from __future__ import annotations

import itertools
import random

import pytest
from torch import nn

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.spaces.module import Choose
from archsearch.spaces.module.building import Build
from archsearch.spaces.module.discovery import Discovery


def test_choices_deep_within_others_are_found() -> None:
    def build(choose: Choose) -> nn.Module:
        def item(i: int) -> nn.Module:
            return choose.layer("op", {"a": nn.Identity, "b": lambda: nn.Linear(choose.one("size", [1, 2, 3]), 1), "c": nn.ReLU})

        return nn.Sequential(*choose.repeat("depth", 1, 5, item))

    names = [choice.name for choice in Discovery(build, {}).conditions().choices]
    assert names == ["depth", *(f"depth.{i}.{name}" for i in range(5) for name in ("op", "op.b.size"))]


def global_state() -> Build:
    calls = itertools.count()
    return lambda choose: nn.Linear(choose.one("width", [1, 2]), next(calls) + 1)


def random_choice(choose: Choose) -> nn.Module:
    layers = [nn.ReLU() for _ in range(random.randrange(1000))]
    return nn.Sequential(nn.Linear(choose.one("width", [1, 2]), 1), *layers)


def changing(choose: Choose) -> nn.Module:
    return nn.Linear(choose.one(f"width{random.randrange(10**6)}", [1, 2]), 1)


def unlike(choose: Choose) -> nn.Module:
    width = choose.one("width", [8, 12])
    return nn.Linear(width, choose.one("heads", [2, 4] if width == 8 else [2, 3]))


def indivisible(choose: Choose) -> nn.Module:
    return nn.MultiheadAttention(choose.one("width", [8, 12]), choose.one("heads", [2, 8]))


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda choose: nn.Linear(1, 1), ConfigurationError, "it has no choices"),
        (lambda choose: choose.one("a", [1, 2]), ConfigurationError, "build: expected a function that returns .*Module; got 1"),
        (global_state(), ConfigurationError, "gave different layers.*Use neither random numbers nor global state"),
        (random_choice, ConfigurationError, "gave different layers"),
        (changing, ConfigurationError, "it asked 'width.*, and then"),
        (unlike, ConfigurationError, r"'heads' has \['2', '4'\] and, after width=12.*Give it another name there"),
        (indivisible, ArchitectureError, "build failed with width=12 heads=8 .*Each combination of choices must give a module"),
    ],
)
def test_what_is_no_search_space_is_refused(build: Build, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Discovery(build, {}).conditions()
