"""Evaluators by the strings that configurations and the command line use, such as `train:digits`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError, check_kind, did_you_mean, unknown_option
from archsearch.evaluators.curve_table import CurveTable
from archsearch.evaluators.evaluator import Evaluator
from archsearch.evaluators.evaluator_forms import FORMS, KINDS
from archsearch.evaluators.options import check_options
from archsearch.evaluators.tables.installed import EMBEDDED_SCORE, embedded_tables, installed_tables
from archsearch.evaluators.tables.table_file import is_layout
from archsearch.evaluators.tabular import TabularEvaluator
from archsearch.spaces import SearchSpace
from archsearch.spaces.imported import PREFIX


def from_text(text: str, space: SearchSpace, seed: int = 0, options: Mapping[str, Any] | None = None) -> Evaluator:
    """Return the evaluator that a string names.

    If a table lacks architectures of the space, the evaluator's space is that of the architectures in the table.

    Args:
        text: `train:DATASET`, `table:NAME` or `table:NAME#COLUMN` (a table of the package, else an imported one),
            `table:PATH#COLUMN` (a Parquet file; one that was imported has a column by default), `proxy:NAME` or
            `proxy:NAME,NAME` (training-free scores as for `ProxyEvaluator`), or `python:MODULE:FUNCTION`, a function as for
            `FunctionEvaluator`, or an evaluator.
        space: Space of the candidates.
        seed: Seed of trainings; a table needs none.
        options: Further arguments of the evaluator, such as `{"epochs": 12}`. Of a table, `{"curves": True}` makes it a
            `CurveTable`, whose scores after shorter trainings a scheduler sees. Of training-free scores, `dataset` names the
            images; it is `digits` by default.

    Raises:
        ConfigurationError: The string has another form, or an option is unknown.
        TableError: The table cannot be used.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import evaluators, spaces
        >>> evaluators.from_text("train:digits", spaces.get("nasbench201"), options={"epochs": 2}).recipe.epochs
        2
    """
    check_kind("text", text, str, FORMS)
    check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
    kind, separator, rest = text.partition(":")
    if not separator or not rest or kind not in KINDS:
        raise ConfigurationError(f"evaluator: expected {FORMS}; got {text!r}.{did_you_mean(kind, KINDS)}")
    settings = dict(options or {})
    if text.startswith(PREFIX):
        return _imported(text, space, {"seed": seed, **settings})
    if kind == "train":
        return _training(rest, space, {"seed": seed, **settings})
    if kind == "proxy":
        return _proxies(rest, space, {"dataset": "digits", "seed": seed, **settings})
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


def _proxies(names: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    from archsearch.evaluators.dataset_names import check_name
    from archsearch.evaluators.proxies import ProxyEvaluator

    check_options("evaluator options: training-free scores", ProxyEvaluator, options, without=("space", "proxies"))
    check_name(options["dataset"])
    return ProxyEvaluator(space, [name.strip() for name in names.split(",")], **options)


def _imported(reference: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    from archsearch.evaluators.function.reference import imported_function

    found = imported_function(reference)
    if isinstance(found, Evaluator):
        if unknown := options.keys() - {"seed"}:
            raise ConfigurationError(
                f"evaluator options: {unknown_option(f'{reference}, which is made already,', min(unknown), [])}"
            )
        return found
    return of_function(found, space, options)


def of_function(function: Callable[..., Any], space: SearchSpace, options: Mapping[str, Any]) -> Evaluator:
    """Return the evaluator of a function; see `FunctionEvaluator`.

    Args:
        function: Takes a model and a context and returns the score.
        space: Space of the candidates.
        options: Further arguments of `FunctionEvaluator`, such as `{"steps": 10}`.

    Raises:
        ConfigurationError: It cannot be called so, or an option is unknown.
        DatasetError: The dataset is unknown.
    """
    from archsearch.evaluators.function.evaluator import FunctionEvaluator

    check_options("evaluator options: a function", FunctionEvaluator, options, without=("space", "function"))
    return FunctionEvaluator(space, function, **options)


def _table(rest: str, space: SearchSpace, options: dict[str, Any]) -> TabularEvaluator:
    curves = options.pop("curves", False)
    if not isinstance(curves, bool):
        raise ConfigurationError(f"evaluator options: curves: expected true or false; got {curves!r}.")
    known = ["percent", *(("epochs", "from_scratch") if curves else ())]
    if unknown := set(options) - set(known):
        owner = "a table with curves" if curves else "a table"
        raise ConfigurationError(f"evaluator options: {unknown_option(owner, min(unknown), [*known, 'curves'])}")
    kind: type[TabularEvaluator] = CurveTable if curves else TabularEvaluator
    name, _, column = rest.partition("#")
    if not Path(name).is_file():
        if name in embedded_tables():
            return kind.embedded(name, column or EMBEDDED_SCORE, space, **options)
        if name in installed_tables():
            return kind.installed(name, column or None, space, **options)
        if not Path(name).suffix:
            raise _unknown_table(name)
    if not column and not (Path(name).is_file() and is_layout(Path(name))):
        raise ConfigurationError(f"evaluator: which column scores? Write table:{name}#COLUMN.")
    return kind.from_parquet(space, name, column or None, **options)


def _unknown_table(name: str) -> ConfigurationError:
    embedded, installed = embedded_tables(), installed_tables()
    return ConfigurationError(
        f"evaluator: no table {name!r} in the package ({', '.join(embedded) or 'none'}) or among those installed "
        f"({', '.join(installed) or 'none'}).{did_you_mean(name, [*embedded, *installed])} "
        "Install one with: archsearch import. For a file write table:PATH#COLUMN."
    )
