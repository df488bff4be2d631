"""Evaluators by the texts that configurations and the command line use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, did_you_mean
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.tabular import TabularEvaluator, embedded_tables
from archsearch.spaces import SearchSpace


def from_text(text: str, space: SearchSpace, seed: int = 0, options: Mapping[str, Any] | None = None) -> Evaluator:
    """Return the evaluator that a text names.

    Args:
        text: `train:DATASET`, `table:NAME` (a table of the package) or `table:PATH#COLUMN` (a Parquet file).
        space: Space of the candidates.
        seed: Seed of trainings; a table needs none.
        options: Further arguments of the evaluator, such as `{"epochs": 12}`.

    Raises:
        ConfigurationError: The text has another form, or an option is unknown.
        TableError: The table cannot be used.
        DatasetError: The dataset is unknown.
    """
    kind, separator, rest = text.partition(":")
    if not separator or not rest or kind not in ("train", "table"):
        hint = did_you_mean(kind, ("train", "table"))
        raise ConfigurationError(f"evaluator: expected train:DATASET, table:NAME or table:PATH#COLUMN; got {text!r}.{hint}")
    settings = dict(options or {})
    return _training(rest, space, {"seed": seed, **settings}) if kind == "train" else _table(rest, space, settings)


def _training(dataset: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    from archsearch.evaluators.datasets import check_name
    from archsearch.evaluators.training import TrainingEvaluator

    if fixed := set(options) & {"space", "dataset"}:
        raise ConfigurationError(
            f"evaluator options: {', '.join(sorted(fixed))} cannot be given here; the text train:DATASET names the dataset, "
            "and the search the space."
        )
    check_name(dataset)
    return TrainingEvaluator(space, dataset, **options)


def _table(rest: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    if unknown := set(options) - {"percent"}:
        raise ConfigurationError(f"evaluator options: a table takes only percent; got {', '.join(sorted(unknown))}.")
    path, separator, column = rest.partition("#")
    if path in embedded_tables() and not Path(path).exists():
        return TabularEvaluator.embedded(path, column or "valid_accuracy", space)
    if not separator and not Path(path).suffix:
        known = embedded_tables()
        raise ConfigurationError(
            f"evaluator: no table {path!r} in the package ({', '.join(known) or 'none'}).{did_you_mean(path, known)} "
            "For a file write table:PATH#COLUMN."
        )
    if not column:
        raise ConfigurationError(f"evaluator: which column scores? Write table:{path}#COLUMN.")
    return TabularEvaluator.from_parquet(space, path, column, **options)
