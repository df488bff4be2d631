"""Checks of the names in a search's settings that need neither Ray nor PyTorch, whose import takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

from archsearch.errors import ConfigurationError, did_you_mean, unknown_name
from archsearch.evaluators.dataset_names import check_name
from archsearch.evaluators.evaluator_forms import FORMS, KINDS
from archsearch.platform.configuration import SearchConfiguration
from archsearch.spaces import get as get_space
from archsearch.spaces.imported import module_of

SEARCHERS = (
    *(
        "darts",
        "enas",
        "evolution",
        "gates",
        "ghn",
        "gp",
        "nao",
        "nao-ws",
        "nasnet",
        "ngae",
        "optuna",
        "pnas",
        "proxies",
        "random",
        "smash",
    ),
)
"""Searchers of the package. Importing `archsearch.searchers`, which knows those of the user too, loads Ray."""
SCHEDULERS = ("asha", "hyperband", "median", "promotion")
"""Schedulers that have a name. Importing `archsearch.cluster.schedulers` loads Ray."""


def check_quickly(configuration: SearchConfiguration) -> None:
    """Raise what the preparation of the search would raise about names, but within a fraction of a second.

    It finds the frequent mistakes. What it does not find, such as a dataset that cannot be read, the preparation finds.

    Raises:
        ConfigurationError: The space, the searcher, the scheduler, the kind of evaluator or the table is unknown.
        DatasetError: The dataset is unknown.
        TableError: The table cannot be used.
    """
    space = get_space(configuration.space)
    check_searcher(configuration.searcher)
    check_scheduler(configuration.scheduler)
    kind, colon, rest = configuration.evaluator.partition(":")
    if not colon or not rest or kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise ConfigurationError(f"evaluator: expected {FORMS}; got {configuration.evaluator!r}.{hint}")
    if kind == "train":
        check_name(rest)
    if kind == "python":
        module_of(configuration.evaluator, "evaluator")
    if kind == "table" and not Path(rest.partition("#")[0]).exists():
        from archsearch.evaluators.registry import from_text  # pyarrow alone

        from_text(configuration.evaluator, space, configuration.seed, configuration.evaluator_options)


def check_searcher(name: str) -> None:
    """Raise ConfigurationError for an unknown searcher, unless searchers of the user may be known already.

    Raises:
        ConfigurationError: There is no such searcher.
    """
    if name not in SEARCHERS and "archsearch.searchers.registry" not in sys.modules:
        raise ConfigurationError(unknown_name("searcher", name, SEARCHERS))


def check_scheduler(name: str | None) -> None:
    """Raise ConfigurationError for a name that no scheduler has; a class, `module:Class`, is not looked up.

    Raises:
        ConfigurationError: There is no such scheduler.
    """
    if name is not None and name not in SCHEDULERS and ":" not in name:
        raise ConfigurationError(f"{unknown_name('scheduler', name, SCHEDULERS)} Or give module:Class, or none.")
