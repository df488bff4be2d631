"""Searchers by name."""

from __future__ import annotations

import pytest

from archsearch import searchers
from archsearch.errors import ConfigurationError
from archsearch.searchers import registry


def test_built_in_searchers_have_names() -> None:
    assert {"evolution", "optuna", "random"} <= set(searchers.names())
    assert searchers.names() == sorted(searchers.names())
    assert searchers.get("evolution") is searchers.RegularizedEvolution
    assert all(issubclass(searchers.get(name), searchers.ArchitectureSearcher) for name in searchers.names())


def test_unknown_name_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigurationError, match=r"searcher: expected one of .*random.*; got 'randm'. Did you mean 'random'\?"):
        searchers.get("randm")


def test_own_searcher_is_known_after_registering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SEARCHERS", dict(registry._SEARCHERS))

    class Mine(searchers.RandomSearch):
        pass

    searchers.register("mine", Mine)
    assert searchers.get("mine") is Mine
    assert "mine" in searchers.names()
