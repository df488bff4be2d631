"""Registry of searchers by name."""

from __future__ import annotations

from archsearch.errors import ConfigurationError, check_kind, unknown_name, wrong_kind
from archsearch.searchers.darts import DARTSSearch
from archsearch.searchers.enas import ENASSearch
from archsearch.searchers.evolution import RegularizedEvolution
from archsearch.searchers.gates import GATESEvolution
from archsearch.searchers.gaussian_process import GaussianProcessSearch
from archsearch.searchers.ghn import GHNRandomSearch
from archsearch.searchers.nao import EncodingSearch
from archsearch.searchers.nao_ws import SharedEncodingSearch
from archsearch.searchers.nasnet import ControllerSearch
from archsearch.searchers.ngae import NGAEAscent
from archsearch.searchers.optuna_searcher import OptunaSearcher
from archsearch.searchers.pnas import ProgressiveSearch
from archsearch.searchers.proxies import ProxyRandomSearch
from archsearch.searchers.random_search import RandomSearch
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.smash import SMASHRandomSearch

_SEARCHERS: dict[str, type[ArchitectureSearcher]] = {
    "darts": DARTSSearch,
    "enas": ENASSearch,
    "evolution": RegularizedEvolution,
    "gates": GATESEvolution,
    "ghn": GHNRandomSearch,
    "gp": GaussianProcessSearch,
    "nao": EncodingSearch,
    "nao-ws": SharedEncodingSearch,
    "nasnet": ControllerSearch,
    "ngae": NGAEAscent,
    "optuna": OptunaSearcher,
    "pnas": ProgressiveSearch,
    "proxies": ProxyRandomSearch,
    "random": RandomSearch,
    "smash": SMASHRandomSearch,
}


def names() -> list[str]:
    """Return the names that `get` knows."""
    return sorted(_SEARCHERS)


def get(name: str) -> type[ArchitectureSearcher]:
    """Return the searcher class called `name`; call it with a space and a seed.

    Raises:
        ConfigurationError: No searcher has this name.
    """
    check_kind("searcher", name, str, f"one of {', '.join(names())}")
    if name not in _SEARCHERS:
        raise ConfigurationError(unknown_name("searcher", name, _SEARCHERS))
    return _SEARCHERS[name]


def register(name: str, searcher: type[ArchitectureSearcher]) -> None:
    """Make a user-defined searcher known under `name`, so that configurations can name it.

    Raises:
        ConfigurationError: `searcher` is not a class derived from `ArchitectureSearcher`.
    """
    check_kind("name", name, str, "a string")
    if not (isinstance(searcher, type) and issubclass(searcher, ArchitectureSearcher)):
        raise ConfigurationError(wrong_kind("searcher", "a class derived from ArchitectureSearcher", searcher))
    _SEARCHERS[name] = searcher
