"""`archsearch import`: installing a benchmark table from a file, under a name for searches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import ArchSearchError, ConfigurationError
from archsearch.platform.live_line import LiveLine

if TYPE_CHECKING:
    from archsearch.evaluators.tables.card import ColumnCard, TableCard
    from archsearch.evaluators.tables.draft import Progress, TableDraft

_DATASETS = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "imagenet16": "ImageNet16-120",
}  # value of the option -> name in the file
_EPILOG = """examples:
  archsearch import nasbench101 nasbench_only108.tfrecord
  archsearch import nasbench201 NAS-Bench-201-v1_1-096897.pth --dataset cifar100
  archsearch import table scores.csv --space nasbench201 --architecture cell --score valid_acc

The table is checked against its search space and copied into the cache folder (ARCHSEARCH_CACHE). Searches name it table:NAME.
"""
_NAMES_SHOWN = 8


def add_import(commands: Any) -> None:
    """Add the subcommand `import`."""
    parser = commands.add_parser(
        "import",
        help="install a benchmark table",
        description="Install a benchmark table from a file, under a name for searches.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sources = parser.add_subparsers(title="sources", required=True, metavar="SOURCE")

    nasbench101 = sources.add_parser("nasbench101", help="the official TFRecord of NAS-Bench-101")
    _add_common(nasbench101, _nasbench101)

    nasbench201 = sources.add_parser(
        "nasbench201", help="the official file of NAS-Bench-201, or of the topology space of NATS-Bench"
    )
    nasbench201.add_argument(
        "--dataset", choices=_DATASETS, default="cifar10", help="dataset whose results are read (default: cifar10)"
    )
    _add_common(nasbench201, _nasbench201)

    table = sources.add_parser("table", help="a CSV or Parquet file with a column of architectures")
    table.add_argument("--space", required=True, help="search space of the architectures, or python:MODULE:CLASS")
    table.add_argument("--architecture", required=True, metavar="COLUMN", help="column that holds the architectures as strings")
    table.add_argument(
        "--score", metavar="COLUMN", help="column to score by (default: valid_accuracy, or the first column with a similar name)"
    )
    table.add_argument("--seconds", metavar="COLUMN", help="column with the cost of an evaluation, in seconds")
    table.add_argument("--rename", nargs="+", action="extend", default=[], metavar="OLD=NEW", help="columns to rename")
    table.add_argument(
        "--average-seeds",
        action="store_true",
        help="average the rows of each architecture; their number becomes the column seeds",
    )
    table.add_argument(
        "--missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="further texts that mean no value, such as failed",
    )
    table.add_argument(
        "--decimal", choices=(".", ","), help="decimal separator (default: found in each column; with semicolons often a comma)"
    )
    _add_common(table, _plain_file)


def _add_common(parser: argparse.ArgumentParser, read: Callable[[argparse.Namespace, Progress], TableDraft]) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="file to read")
    parser.add_argument("--name", help="name of the table (default: made from the source)")
    parser.add_argument("--drop-missing", action="store_true", help="skip rows without a score")
    parser.add_argument(
        "--percent",
        nargs="*",
        metavar="COLUMN",
        help="columns in percent, to convert to fractions (default: columns of accuracies with values from 1 to 100)",
    )
    parser.set_defaults(action=_import, read=read)


def _import(parsed: argparse.Namespace) -> int:
    try:
        return _install(parsed)
    except KeyboardInterrupt:
        print("archsearch: stopped; no table was written", file=sys.stderr)
        return 130


def _install(parsed: argparse.Namespace) -> int:
    from archsearch.evaluators.tables.installed import install, new_path

    name = parsed.name or _default_name(parsed)
    replaced = new_path(name).exists()
    with _progress("read") as progress:
        draft = parsed.read(parsed, progress)
    with _progress("checked") as progress:
        path, card = install(
            draft,
            name,
            percent=parsed.percent,
            drop_missing=parsed.drop_missing,
            average_seeds=getattr(parsed, "average_seeds", False),
            progress=progress,
        )
    print("\n".join(_summary(card, path, replaced)))
    return 0


def _default_name(parsed: argparse.Namespace) -> str:
    if parsed.read is _nasbench101:
        return "nasbench101"
    return f"nasbench201-{parsed.dataset}" if parsed.read is _nasbench201 else parsed.file.stem


def _nasbench101(parsed: argparse.Namespace, progress: Progress) -> TableDraft:
    from archsearch.evaluators.tables.nasbench101.reader import read_nasbench101

    return read_nasbench101(parsed.file, progress=progress)


def _nasbench201(parsed: argparse.Namespace, progress: Progress) -> TableDraft:
    from archsearch.evaluators.tables.nasbench201.reader import read_nasbench201

    return read_nasbench201(parsed.file, dataset=_DATASETS[parsed.dataset], progress=progress)


def _plain_file(parsed: argparse.Namespace, progress: Progress) -> TableDraft:
    from archsearch.evaluators.tables.plain_file import read_plain_file
    from archsearch.spaces import get

    get(parsed.space)  # raises for an unknown space before the file is read
    return read_plain_file(
        parsed.file,
        parsed.space,
        parsed.architecture,
        score=parsed.score,
        seconds=parsed.seconds,
        rename=_pairs(parsed.rename),
        decimal=parsed.decimal,
        missing=parsed.missing,
    )


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        old, separator, new = text.partition("=")
        if not separator or not old or not new:
            raise ConfigurationError(f"rename: expected OLD=NEW; got {text!r}.")
        pairs[old] = new
    return pairs


def _summary(card: TableCard, path: Path, replaced: bool) -> list[str]:
    """Return the lines to print about an installed table."""
    from archsearch.evaluators import is_report_only

    lines = [
        f"{'Replaced' if replaced else 'Wrote'} {path}",
        f"  {card.rows:,} architectures of {card.space}, {card.structures:,} distinct structures",
        f"  scored by {card.score}; {len(card.columns)} columns: {_some([column.name for column in card.columns])}",
        *(f"  {column.name}: {_range(column)}, {_scale(card)}" for column in card.columns if column.name == card.score),
        *(f"  {note}" for note in card.notes),
    ]
    if is_report_only(card.score):
        lines.append(f"  {card.score} is measured on test data: a search by it selects on the data that it is reported on.")
    return [
        *lines,
        f"Card:      {path.with_suffix('.md')}",
        f"Search it: archsearch run --space {card.space} --table {card.name} --candidates 300",
    ]


def _range(column: ColumnCard) -> str:
    return f"from {column.lowest:g} to {column.highest:g}"


def _scale(card: TableCard) -> str:
    """Return how the numbers of the score were taken."""
    converted = [note for note in card.notes if note.startswith("Percent were converted")]
    names = converted[0].partition(": ")[2].rstrip(".").split(", ") if converted else []
    return "fractions made from percent" if card.score in names else "taken as they are"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def _progress(step: str) -> Iterator[Progress]:
    """Yield a function that shows the percentage done of a step, such as `read`, on standard error."""
    line = LiveLine(sys.stderr, at_once=False)
    try:
        yield lambda done, total: line.show(lambda: f"{100 * done // max(total, 1)} % {step}")
    finally:
        line.end(clear=True)


def table_lines() -> list[str]:
    """Return the lines of `archsearch spaces` about tables."""
    from archsearch.evaluators.tables.installed import (
        embedded_path,
        embedded_tables,
        install_folder,
        installed_path,
        installed_tables,
    )

    lines = ["Tables shipped with the package", *(_table_line(embedded_path(name)) for name in embedded_tables())]
    lines.append(f"Tables in {install_folder()}")
    installed = [_table_line(installed_path(name)) for name in installed_tables()]
    return [*lines, *(installed or ["  none; install one with: archsearch import"])]


def _table_line(path: Path) -> str:
    from archsearch.evaluators.tables.installed import summary

    try:
        table = summary(path)
    except ArchSearchError:
        return f"  {path.stem}: corrupt; import it again"
    others = [name for name in table.accuracies if name != table.score]
    also = f"; or by {', '.join(others)}" if others else ""
    return f"  {table.name}: {table.space}, {table.rows:,} rows, scored by {table.score}{also}"
