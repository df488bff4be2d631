"""Registry of searchers by name."""

from __future__ import annotations

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.searchers.evolution import RegularizedEvolution
from archsearch.searchers.gates import GATESEvolution
from archsearch.searchers.gaussian_process import GaussianProcessSearch
from archsearch.searchers.ghn import GHNRandomSearch
from archsearch.searchers.ngae import NGAEAscent
from archsearch.searchers.optuna_tpe import OptunaTPE
from archsearch.searchers.random_search import RandomSearch
from archsearch.searchers.searcher import ArchitectureSearcher

_SEARCHERS: dict[str, type[ArchitectureSearcher]] = {
    "evolution": RegularizedEvolution,
    "gates": GATESEvolution,
    "ghn": GHNRandomSearch,
    "gp": GaussianProcessSearch,
    "ngae": NGAEAscent,
    "optuna": OptunaTPE,
    "random": RandomSearch,
}


def names() -> list[str]:
    """Return the names that `get` knows."""
    return sorted(_SEARCHERS)


def get(name: str) -> type[ArchitectureSearcher]:
    """Return the searcher class called `name`; call it with a space and a seed.

    Raises:
        ConfigurationError: No searcher has this name.
    """
    if name not in _SEARCHERS:
        raise ConfigurationError(unknown_name("searcher", name, _SEARCHERS))
    return _SEARCHERS[name]


def register(name: str, searcher: type[ArchitectureSearcher]) -> None:
    """Register a custom searcher under `name`, for use in configurations."""
    _SEARCHERS[name] = searcher
