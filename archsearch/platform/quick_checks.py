"""Checks of the names in a search's settings that need neither Ray nor PyTorch, whose import takes seconds."""

from __future__ import annotations

import sys
from pathlib import Path

from archsearch.errors import ConfigurationError, did_you_mean, unknown_name
from archsearch.evaluators.dataset_names import check_name
from archsearch.platform.configuration import SearchConfiguration
from archsearch.spaces import get as get_space

SEARCHERS = ("evolution", "gates", "ghn", "gp", "ngae", "optuna", "random")
"""Searchers of the package. Importing `archsearch.searchers`, which knows those of the user too, loads Ray."""
_SCORES = ("train", "table")


def check_quickly(configuration: SearchConfiguration) -> None:
    """Raise what the preparation of the search would raise about names, but within a fraction of a second.

    It finds the frequent mistakes. What it does not find, such as a dataset that cannot be read, the preparation finds.

    Raises:
        ConfigurationError: The space, the searcher, the kind of evaluator or the table is unknown.
        DatasetError: The dataset is unknown.
        TableError: The table cannot be used.
    """
    space = get_space(configuration.space)
    check_searcher(configuration.searcher)
    kind, colon, rest = configuration.evaluator.partition(":")
    if not colon or not rest or kind not in _SCORES:
        hint = did_you_mean(kind, _SCORES)
        raise ConfigurationError(
            f"evaluator: expected train:DATASET, table:NAME or table:PATH#COLUMN; got {configuration.evaluator!r}.{hint}"
        )
    if kind == "train":
        check_name(rest)
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
