"""Which options a class takes, and what is said of others."""

from __future__ import annotations

from typing import Any

import pytest

from archsearch import searchers, spaces
from archsearch.errors import ConfigurationError, nearest_first
from archsearch.evaluators import from_text
from archsearch.evaluators.options import check_options, options_of


class Base:
    def __init__(self, space: object, *, batch_size: int | None = None, name: str = "x", share: float = 0.5) -> None: ...


class Derived(Base):
    def __init__(self, space: object, *, population: int = 20, any_kind: object = None, **settings: Any) -> None: ...


class Closed(Derived):
    def __init__(self, space: object, *, only: bool = False) -> None: ...


def test_options_are_those_of_all_constructors_that_pass_them_on() -> None:
    assert list(options_of(Derived, without=["space"])) == ["population", "any_kind", "batch_size", "name", "share"]
    assert list(options_of(Closed, without=["space"])) == ["only"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"populaton": 3}, "it has no option 'populaton'. Did you mean 'population'. Options: population, "),
        ({"zzz": 3}, "it has no option 'zzz'. Options: "),
        ({"population": "many"}, "it: population: expected a whole number; got 'many'"),
        ({"population": True}, "it: population: expected a whole number; got True"),
        ({"batch_size": 1.5}, "it: batch_size: expected a whole number or None; got 1.5"),
        ({"share": "half"}, "it: share: expected a number; got 'half'"),
        ({"name": 3}, "it: name: expected a string; got 3"),
    ],
)
def test_other_names_and_types_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_options("it", Derived, given)


def test_what_is_allowed_passes() -> None:
    check_options("it", Derived, {"population": 3, "batch_size": None, "share": 1, "any_kind": [1], "name": "y"})


def test_the_nearest_comes_first() -> None:
    assert nearest_first("batchsize", ["momentum", "batch_size", "seed"])[0] == "batch_size"
    assert nearest_first("pop", ["tournament_size", "population_size"])[0] == "population_size"


@pytest.mark.parametrize("name", searchers.names())
def test_every_searcher_names_its_options(name: str) -> None:
    kind = searchers.get(name)
    known = options_of(kind, kind.fixed_options)
    assert not {"space", "seed", "goals", "num_candidates"} & set(known)
    with pytest.raises(ConfigurationError, match=f"{name} has no option 'nonsense'. Options: .*{next(iter(known))}"):
        check_options(name, kind, {"nonsense": 1}, without=kind.fixed_options)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("train:digits", {"epoch": 3}, "a training has no option 'epoch'. Did you mean 'epochs'. Options: epochs, "),
        ("train:digits", {"threads": "two"}, "threads: expected a whole number; got 'two'"),
        ("train:digits", {"scale": {"chanels": 3}}, "nasbench201 has no setting 'chanels'. .* Settings: channels, "),
        ("train:digits", {"learning_rates": 3}, "Did you mean 'learning_rate'. Options: learning_rate, "),
        ("table:digits201", {"epochs": 3}, "a table has no option 'epochs'. Options: curves, percent"),
    ],
)
def test_evaluators_name_their_options(text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        from_text(text, spaces.get("nasbench201"), options=options)
