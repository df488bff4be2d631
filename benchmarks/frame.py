"""The frame of the benchmark scripts: command line, resumable rows in a file, statistics and Markdown tables.

A script measures rows, each identified by some of its fields (benchmark, method, seed ...), and prints tables of them with the
reference figures beside ours:

    script = Script(__file__, __doc__, seeds=20)
    script.argument("--epochs", type=int, default=200)
    arguments = script.parse()
    script.run(measure, report)

Rows are JSON lines in the file of `--out`. A script that is stopped and started again measures only what is missing. Each row
holds the command that repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_ind

from archsearch.evaluators.metrics import mean_interval

Row = dict[str, Any]
FOLDER = Path(__file__).resolve().parent


def data(*files: str) -> Path:
    """Return the folder of real data, which the variable ARCHSEARCH_DATA names.

    Raises:
        SystemExit: The variable is unset, or one of the files is missing in the folder.
    """
    folder = os.environ.get("ARCHSEARCH_DATA")
    if not folder:
        raise SystemExit(f"ARCHSEARCH_DATA is unset; set it to the folder with {', '.join(files) or 'the benchmark tables'}.")
    missing = [name for name in files if not (Path(folder) / name).exists()]
    if missing:
        raise SystemExit(f"ARCHSEARCH_DATA: {folder} lacks {', '.join(missing)}.")
    return Path(folder)


class Rows:
    """Measurements in a file of JSON lines.

    Several processes may append to one file. A last line that was cut short by a crash is ignored, and measured again.

    Args:
        path: The file; it is made with the first row.
        command: What repeats a row, without the fields that identify it.
        repeat: Fields of the rows to measure again; None measures what the file lacks.
    """

    def __init__(self, path: Path, command: Sequence[str] = (), repeat: Mapping[str, str] | None = None) -> None:
        self.path, self.command, self.repeat = path, command, repeat
        self._size, self._rows = -1, list[Row]()

    def all(self) -> list[Row]:
        """Return the rows of the file, in the order in which they were measured."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self._size:
            lines = self.path.read_text().splitlines() if size else []
            self._size, self._rows = size, [row for row in map(_parsed, lines) if row is not None]
        return list(self._rows)

    def select(self, **fields: Any) -> list[Row]:
        """Return the rows with these values."""
        wanted = _plain(fields)
        return [row for row in self.all() if all(name in row and row[name] == value for name, value in wanted.items())]

    def get(self, measure: Callable[[], Mapping[str, Any]], /, **identity: Any) -> Row | None:
        """Return the row of an identity: from the file or, where it is missing there, measured now and appended to it.

        With `repeat`, a row that matches is measured again and printed beside the recorded one, and nothing is written; of the
        others the recorded ones are returned, or None.
        """
        found = self.select(**identity)
        known = found[-1] if found else None
        if self.repeat is None:
            return known if known is not None else self.add(measure(), **identity)
        if all(str(identity.get(name)) == value for name, value in self.repeat.items()):
            print(f"recorded: {_line(known) if known else 'nothing'}\nrepeated: {_line({**identity, **measure()})}", flush=True)
        return known

    def add(self, figures: Mapping[str, Any], **identity: Any) -> Row:
        """Append a row and print it with the command that repeats it."""
        shown = [f"{name}={value}" for name, value in identity.items() if isinstance(value, str | int | float)]
        command = shlex.join([*self.command, "--repeat", *shown])
        row: Row = _plain({**identity, **figures, "command": command})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell() and not self.path.read_bytes().endswith(b"\n"):
                file.write(b"\n")  # ends a line that was cut short
            file.write(json.dumps(row).encode() + b"\n")
        print(f"{_line(row)}\n    repeat: {command}", flush=True)
        return row


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _plain(values: Mapping[str, Any]) -> Any:
    """Return values as JSON has them: lists for tuples and arrays, numbers of Python for those of NumPy."""
    return json.loads(json.dumps(values, default=lambda value: value.tolist()))


def _line(row: Mapping[str, Any]) -> str:
    """Return the short fields of a row in one line."""
    shown = {name: value for name, value in row.items() if isinstance(value, str | int | float) and name != "command"}
    return ", ".join(
        f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}"[:100] for name, value in shown.items()
    )


class Script:
    """Command line of a benchmark script, and its rows.

    Args:
        file: `__file__` of the script.
        description: Its docstring.
        seeds: Number of seeds by default; None for a script without `--seeds` and `--first`.
    """

    def __init__(self, file: str, description: str | None, seeds: int | None = None) -> None:
        parts = Path(file).resolve().relative_to(FOLDER).with_suffix("").parts
        self.module, self.arguments = ".".join(("benchmarks", *parts)), argparse.Namespace()
        self.parser = argparse.ArgumentParser(
            prog=f"python -m {self.module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        self.argument = self.parser.add_argument
        if seeds is not None:
            self.argument("--seeds", type=int, default=seeds, help=f"number of seeds (default: {seeds})")
            self.argument("--first", type=int, default=0, help="the first seed (default: 0)")
        out = Path("runs", f"{'_'.join(parts)}.jsonl")
        self.argument("--out", type=Path, default=out, metavar="FILE", help=f"file of the rows (default: {out})")
        self.argument("--print", action="store_true", help="only print the tables of the rows that are there")
        self.argument("--commands", action="store_true", help="only print the command that repeats each row")
        self.argument("--repeat", nargs="+", metavar="NAME=VALUE", help="measure the rows with these values again; write nothing")

    def parse(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Return the arguments of the command line."""
        self.arguments = self.parser.parse_args(arguments)
        for pair in self.arguments.repeat or ():
            if "=" not in pair:
                self.parser.error(f"--repeat takes NAME=VALUE; got {pair}")
        return self.arguments

    @property
    def seeds(self) -> range:
        """Seeds to measure."""
        return range(self.arguments.first, self.arguments.first + self.arguments.seeds)

    @property
    def rows(self) -> Rows:
        """Rows of the file of `--out`."""
        pairs = [pair.partition("=") for pair in self.arguments.repeat or ()]
        repeat = {name: value for name, _, value in pairs} if pairs else None
        return Rows(self.arguments.out, ("python", "-m", self.module, *self._changed()), repeat)

    def _changed(self) -> list[str]:
        """Return the arguments that differ from their defaults, as words of a command line."""
        words: list[str] = []
        for action in self.parser._actions:
            value = getattr(self.arguments, action.dest, None)
            if action.dest in ("help", "print", "commands", "repeat") or value is None or value == action.default:
                continue
            many = isinstance(value, list | tuple)
            values = [] if action.nargs == 0 else [str(each) for each in (value if many else [value])]
            # Positional arguments come first, because an option with several values would take them.
            words = [*words, *action.option_strings[:1], *values] if action.option_strings else [*values, *words]
        return words

    def run(self, measure: Callable[[Rows], None], report: Callable[[Rows], None]) -> None:
        """Measure what is missing and print the tables, or what the options `--print`, `--commands` and `--repeat` ask for."""
        rows = self.rows
        if self.arguments.commands:
            print("\n".join(row["command"] for row in rows.all() if "command" in row))
            return
        if not self.arguments.print:
            measure(rows)
        if rows.repeat is None:
            report(rows)
            print(f"\nCommands that repeat a row: python -m {self.module} --commands --out {self.arguments.out}", flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a Markdown table, if there are rows; None is an empty cell."""
    lines = list(rows)
    if not lines:
        return
    if title:
        print(f"\n### {title}")
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in lines:
        print(f"| {' | '.join('' if cell is None else str(cell) for cell in row)} |", flush=True)


def average(values: Iterable[float], digits: int = 2, deviation: bool = False, signed: bool = False) -> str:
    """Return the mean with its 95 % interval and, if asked for, standard deviation and number of values.

    One value is returned alone, none as an empty string.
    """
    found = [float(value) for value in values]
    form = f"{'+' if signed else ''}.{digits}f"
    if len(found) < 2:
        return "".join(format(value, form) for value in found)
    interval = mean_interval(found)
    bounds = f"{interval.low:{form}} to {interval.high:{form}}"
    if deviation:
        return f"{interval.value:{form}} +- {np.std(found, ddof=1):.{digits}f} ({bounds}; {len(found)})"
    return f"{interval.value:{form}} ({bounds})"


def difference(ours: Iterable[float], others: Iterable[float], digits: int = 2) -> str:
    """Return the difference of two means with its 95 % interval (Welch's t-test)."""
    first, second = list(ours), list(others)
    if not first or not second:
        return ""
    gap = f"{np.mean(first) - np.mean(second):+.{digits}f}"
    if min(len(first), len(second)) < 2:
        return gap
    interval = ttest_ind(first, second, equal_var=False).confidence_interval()
    return f"{gap} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"


def quartiles(values: Iterable[float], most: float = np.inf, digits: int = 0, method: Any = "higher") -> str:
    """Return the median and the quartiles; an infinite value is shown as more than `most`."""
    found = np.quantile(list(values), [0.5, 0.25, 0.75], method=method)
    median, low, high = (f"{value:,.{digits}f}" if np.isfinite(value) else f"> {most:,.{digits}f}" for value in found)
    return f"{median} ({low} to {high})"


def least_seconds(work: Callable[[], object], tries: int, clock: Callable[[], float] = time.process_time) -> float:
    """Return the least seconds of a few calls; CPU seconds of this process by default."""
    taken = []
    for _ in range(tries):
        started = clock()
        work()
        taken.append(clock() - started)
    return min(taken)
