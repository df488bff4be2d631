from __future__ import annotations

import pytest

from archsearch import spaces
from archsearch.errors import ConfigurationError
from archsearch.spaces import registry
from archsearch.spaces.nasbench201 import NASBench201


class Own(NASBench201):
    name = "own"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize("name", spaces.names())
def test_each_built_in_space_bears_its_name(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, spaces.SearchSpace)
    assert space.name == name


def test_names_are_sorted() -> None:
    assert "nasbench201" in spaces.names()
    assert spaces.names() == sorted(spaces.names())


def test_an_unknown_name_is_answered_by_the_most_similar_one() -> None:
    with pytest.raises(ConfigurationError, match=r"space: expected one of .*; got 'nasbench210'\. Did you mean 'nasbench201'\?"):
        spaces.get("nasbench210")


def test_a_custom_space_is_found_by_name() -> None:
    spaces.register("own", Own)
    assert isinstance(spaces.get("own"), Own)
    assert "own" in spaces.names()


def test_registering_again_replaces() -> None:
    spaces.register("own", NASBench201)
    spaces.register("own", Own)
    assert isinstance(spaces.get("own"), Own)


def test_built_in_names_cannot_be_taken() -> None:
    with pytest.raises(ConfigurationError, match="'nasbench201' is a built-in space; choose another name"):
        spaces.register("nasbench201", Own)
