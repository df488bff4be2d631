"""Benchmark tables by name: those of the package, and those that were imported."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pyarrow as pa

from archsearch.errors import ConfigurationError, TableError, unknown_name
from archsearch.evaluators.cache import cache_folder
from archsearch.evaluators.evaluation import is_report_only
from archsearch.evaluators.tables.card import TableCard
from archsearch.evaluators.tables.checks import check
from archsearch.evaluators.tables.columns import is_accuracy
from archsearch.evaluators.tables.draft import Progress, TableDraft
from archsearch.evaluators.tables.parquet_file import open_parquet
from archsearch.evaluators.tables.table_file import write_layout
from archsearch.spaces import get

EMBEDDED_SCORE = "valid_accuracy"  # default score of the tables of the package
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class TableSummary:
    """A table in a list of tables.

    Args:
        name: Name of the table.
        space: Name of its space.
        rows: Number of architectures.
        score: Column that it is scored by unless another is named.
        accuracies: Columns of accuracies that are not measured on test data, and so can be searched by.
    """

    name: str
    space: str
    rows: int
    score: str
    accuracies: tuple[str, ...]


def embedded_tables() -> list[str]:
    """Return the names of the tables that the package ships."""
    return _names(_package_folder())


def embedded_path(name: str) -> Path:
    """Return the file of a table that the package ships."""
    return _package_folder() / f"{name}.parquet"


def installed_tables() -> list[str]:
    """Return the names of the tables that `archsearch import` wrote."""
    return _names(install_folder())


def installed_path(name: str) -> Path:
    """Return the file of an imported table.

    Raises:
        TableError: There is none of that name.
    """
    if name not in installed_tables():
        known = installed_tables()
        raise TableError(
            f"{unknown_name('table', name, known) if known else f'table: none is installed; got {name!r}.'} "
            "Install one with: archsearch import"
        )
    return install_folder() / f"{name}.parquet"


def install(
    draft: TableDraft,
    name: str,
    *,
    percent: Collection[str] | None = None,
    drop_missing: bool = False,
    average_seeds: bool = False,
    progress: Progress | None = None,
) -> tuple[Path, TableCard]:
    """Check a table and write it where evaluators find it by its name; an imported table of that name is replaced.

    Args:
        draft: The table as read from its source.
        name: Name of the table.
        percent: Columns that are in percent; see `checks.check`.
        drop_missing: Whether rows without a score are left out; else they are an error.
        average_seeds: Whether rows of one architecture are averaged; else they are an error.
        progress: Called every 5,000 rows with the numbers of rows checked and of all rows.

    Returns:
        The Parquet file and its card.

    Raises:
        TableError: The rows fail a check, or the file cannot be written.
        ConfigurationError: The name is not allowed, or the space is unknown.
    """
    path = new_path(name)
    checked = check(
        draft,
        get(draft.space),
        percent=percent,
        drop_missing=drop_missing,
        average_seeds=average_seeds,
        progress=progress,
    )
    return path, write_layout(checked, draft, path)


def install_folder() -> Path:
    """Return the folder of imported tables, `tables` in the cache folder; it need not exist."""
    return cache_folder() / "tables"


def new_path(name: str) -> Path:
    """Return the path of a new table of that name.

    Raises:
        ConfigurationError: The name is not allowed, or is that of a table of the package.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"name: expected letters, digits, dots, hyphens and underscores, a letter or digit first; got {name!r}. "
            "Choose another with --name."
        )
    if name in embedded_tables():
        raise ConfigurationError(f"name: {name!r} is a table of the package; choose another with --name.")
    return install_folder() / f"{name}.parquet"


def space_of(path: Path) -> str:
    """Return the name of the space in the metadata of a table's file, or an empty string."""
    with open_parquet(path) as file:
        return _metadata(file.schema_arrow).get("archsearch.space", "")


def summary(path: Path) -> TableSummary:
    """Return the summary of a table from the metadata of its file; the rows are not read.

    Raises:
        TableError: The file is missing or corrupt.
    """
    with open_parquet(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    metadata = _metadata(schema)
    accuracies = [field.name for field in schema if pa.types.is_floating(field.type) and is_accuracy(field.name)]
    return TableSummary(
        path.stem,
        metadata.get("archsearch.space", "?"),
        rows,
        metadata.get("archsearch.score", EMBEDDED_SCORE),
        tuple(name for name in accuracies if not is_report_only(name)),
    )


def _package_folder() -> Path:
    return Path(str(resources.files("archsearch.evaluators"))) / "tables"


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.parquet"))


def _metadata(schema: pa.Schema) -> dict[str, str]:
    return {name.decode(): value.decode(errors="replace") for name, value in (schema.metadata or {}).items()}
