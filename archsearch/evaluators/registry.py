"""Evaluators by the strings that configurations and the command line use, such as `train:digits`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, check_kind, did_you_mean, unknown_option
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.options import check_options
from archsearch.evaluators.tables.installed import EMBEDDED_SCORE, embedded_tables, installed_tables
from archsearch.evaluators.tables.table_file import is_layout
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.spaces import SearchSpace


def from_text(text: str, space: SearchSpace, seed: int = 0, options: Mapping[str, Any] | None = None) -> Evaluator:
    """Return the evaluator that a string names.

    If a table lacks architectures of the space, the evaluator's space is that of the architectures in the table.

    Args:
        text: `train:DATASET`, `table:NAME` or `table:NAME#COLUMN` (a table of the package, else an imported one), or
            `table:PATH#COLUMN` (a Parquet file; one that was imported has a column by default).
        space: Space of the candidates.
        seed: Seed of trainings; a table needs none.
        options: Further arguments of the evaluator, such as `{"epochs": 12}`.

    Raises:
        ConfigurationError: The string has another form, or an option is unknown.
        TableError: The table cannot be used.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import evaluators, spaces
        >>> evaluators.from_text("train:digits", spaces.get("nasbench201"), options={"epochs": 2}).recipe.epochs
        2
    """
    check_kind("text", text, str, "train:DATASET, table:NAME or table:PATH#COLUMN")
    check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
    kind, separator, rest = text.partition(":")
    if not separator or not rest or kind not in ("train", "table"):
        hint = did_you_mean(kind, ("train", "table"))
        raise ConfigurationError(f"evaluator: expected train:DATASET, table:NAME or table:PATH#COLUMN; got {text!r}.{hint}")
    settings = dict(options or {})
    if kind == "train":
        return _training(rest, space, {"seed": seed, **settings})
    table = _table(rest, space, settings)
    # Architectures that are not in the table could not be scored.
    return table.confined() if table.is_partial else table


def _training(dataset: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    from archsearch.evaluators.dataset_names import check_name
    from archsearch.evaluators.training.evaluator import TrainingEvaluator
    from archsearch.evaluators.training.recipe import Recipe

    if fixed := set(options) & {"space", "dataset"}:
        raise ConfigurationError(
            f"evaluator options: {', '.join(sorted(fixed))} cannot be given here; the string train:DATASET names the dataset, "
            "and the search the space."
        )
    check_name(dataset)
    check_options("evaluator options: a training", TrainingEvaluator, options, more=[each.name for each in fields(Recipe)])
    return TrainingEvaluator(space, dataset, **options)


def _table(rest: str, space: SearchSpace, options: dict[str, Any]) -> TabularEvaluator:
    if unknown := set(options) - {"percent"}:
        raise ConfigurationError(f"evaluator options: {unknown_option('a table', min(unknown), ['percent'])}")
    name, _, column = rest.partition("#")
    if not Path(name).is_file():
        if name in embedded_tables():
            return TabularEvaluator.embedded(name, column or EMBEDDED_SCORE, space, **options)
        if name in installed_tables():
            return TabularEvaluator.installed(name, column or None, space, **options)
        if not Path(name).suffix:
            raise _unknown_table(name)
    if not column and not (Path(name).is_file() and is_layout(Path(name))):
        raise ConfigurationError(f"evaluator: which column scores? Write table:{name}#COLUMN.")
    return TabularEvaluator.from_parquet(space, name, column or None, **options)


def _unknown_table(name: str) -> ConfigurationError:
    embedded, installed = embedded_tables(), installed_tables()
    return ConfigurationError(
        f"evaluator: no table {name!r} in the package ({', '.join(embedded) or 'none'}) or among those installed "
        f"({', '.join(installed) or 'none'}).{did_you_mean(name, [*embedded, *installed])} "
        "Install one with: archsearch import. For a file write table:PATH#COLUMN."
    )
