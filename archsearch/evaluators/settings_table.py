"""Markdown tables of settings, made from the annotations and the docstrings of their dataclasses.

`python -m archsearch.evaluators.settings_table > docs/settings.md` writes the page of the documentation.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

from archsearch.evaluators.ghn import settings as ghn
from archsearch.evaluators.ngae import settings as ngae
from archsearch.evaluators.predictors import settings as predictors
from archsearch.evaluators.predictors.form import Form
from archsearch.evaluators.settings import Declaration, declarations
from archsearch.evaluators.training.recipe import Recipe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def settings_table(settings: type[DataclassInstance], presets: Mapping[str, DataclassInstance] | None = None) -> str:
    """Return a Markdown table of the settings of a dataclass: name, type, range, default and meaning.

    Args:
        settings: Dataclass whose annotations say what is allowed, and the section `Args` of whose docstring what it means.
        presets: Instances by name; each gets a column of its own in place of the column of defaults.
    """
    meanings = documented_arguments(settings)
    values: dict[str, Mapping[str, Any]] = {"default": {field.name: _default(field) for field in fields(settings)}}
    if presets:
        values = {f"preset `{name}`": _values(preset) for name, preset in presets.items()}
    rows = [["name", "type", "range", *values, "meaning"]]
    for name, declaration in declarations(settings).items():
        defaults = [_code(column[name]) for column in values.values()]
        rows.append([f"`{name}`", _type(declaration), _range(declaration), *defaults, meanings.get(name, "")])
    header, *body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([header, "|" + " --- |" * len(rows[0]), *body]) + "\n"


def _values(settings: DataclassInstance) -> dict[str, Any]:
    """Return the values of the fields of a dataclass by name; they are not copied."""
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def documented_arguments(documented: type) -> dict[str, str]:
    """Return the section `Args` of a Google-style docstring: descriptions in one line each, by name."""
    _, _, section = (inspect.getdoc(documented) or "").partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", section, maxsplit=1)[0]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(description.split()) for name, description in entries}


def _type(declaration: Declaration) -> str:
    name = declaration.kind.__name__
    if declaration.item is not None:
        name += f"[{declaration.item.__name__}, ...]" if declaration.kind is tuple else f"[{declaration.item.__name__}]"
    return f"`{name}`" + (" or `None`" if declaration.optional else "")


def _range(declaration: Declaration) -> str:
    if declaration.choices:
        return ", ".join(map(_code, declaration.choices))
    words = ", ".join(map(str, declaration.bounds)).removeprefix("of ")
    return f"{words} each" if words and declaration.kind is tuple else words


def _code(value: object) -> str:
    return f"`{value}`" if isinstance(value, str) and value else f"`{value!r}`"


def page() -> str:
    """Return the page of the documentation: the settings of trainings, hypernetworks, predictors and auto-encoders."""
    form = Form(vocabulary=(), inputs=1, cells=1, nodes=0, width=4)
    parts = [
        _INTRODUCTION,
        "## Training of a candidate: `Recipe`\n\n"
        'Given as `TrainingEvaluator(space, "cifar10", epochs=12)`, or with `--train epochs=12` on the command line. The '
        "defaults here are those of the class; the recipe of a dataset may differ.\n",
        settings_table(Recipe),
        "## Graph hypernetwork: `GHN`\n\n"
        'Given as `GHN(space, "digits", preset="default", meta_batch=4)`. The presets take `crop` and `flip` from the recipe of '
        "the dataset; those of `digits` are shown.\n",
        settings_table(ghn.Settings, {name: ghn.settings_of(name, "digits") for name in ghn.PRESETS}),
        "## Predictor: `Predictor`\n\n"
        'Given as `Predictor(space, preset="default", epochs=50)`. The presets adapt a few sizes to the space; those of cells '
        "with operators on edges, such as NAS-Bench-201, are shown.\n",
        settings_table(predictors.Settings, {name: predictors.settings_of(name, form) for name in predictors.PRESETS}),
        '## Graph auto-encoder: `NGAE`\n\nGiven as `NGAE(space, preset="default", epochs=50)`.\n',
        settings_table(ngae.Settings, ngae.PRESETS),
    ]
    return "\n".join(parts)


_INTRODUCTION = """# Settings of trainings and models

Each setting is declared once, where its class is: the type, the range and the default below are those that are checked when the
class is made. A value out of its range is a `ConfigurationError` that names the setting.

This page is made from the code. After a change: `python -m archsearch.evaluators.settings_table > docs/settings.md`.
"""


if __name__ == "__main__":
    print(page(), end="")
