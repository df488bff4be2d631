"""Architectures to start a search with, from texts, files and earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from archsearch.errors import ArchitectureError, ConfigurationError, RunError, first_line
from archsearch.platform.rank_order import best_first
from archsearch.platform.run_folder import RunFolder
from archsearch.spaces import SearchSpace
from archsearch.spaces import get as get_space
from archsearch.spaces.imported import PREFIX

BEST_OF_A_RUN = 5


def start_texts(given: Sequence[str], space: SearchSpace) -> list[str]:
    """Return the architectures that a search is to start with, as the space writes them.

    Args:
        given: Each an architecture; a file with one a line, the `architecture.json` of an export or its folder; or the folder
            of a run, for its 5 best, or with `#10` for its 10 best.
        space: Space of the search.

    Raises:
        ConfigurationError: One is none of these, or is of another space.
        RunError: A run has no evaluations yet.
    """
    return [str(_parsed(text, origin, space)) for each in given for text, origin in _texts(each, space)]


def with_files_read(given: Sequence[str], space: SearchSpace) -> list[str]:
    """Return the same with the architectures of each file, run or export of this machine in its place, for another machine.

    Raises:
        ConfigurationError: As for `start_texts`.
        RunError: As for `start_texts`.
    """
    return [text for each in given for text in (start_texts([each], space) if any(_kinds(each)) else [each])]


def _split(given: str) -> tuple[str, int]:
    """Return the folder of a run and the number of its best, if a text names one."""
    name, mark, count = given.rpartition("#")
    return (name, int(count)) if mark and count.isdigit() else (given, BEST_OF_A_RUN)


def _kinds(given: str) -> tuple[bool, bool, bool]:
    """Return whether a text names a run, an export, or a file."""
    try:
        path = Path(given).expanduser()
        is_run = (Path(_split(given)[0]).expanduser() / "run.yaml").is_file()
        return is_run, (path / "architecture.json").is_file(), path.is_file()
    except (OSError, RuntimeError, ValueError):  # the text of an architecture may be too long for the name of a file
        return False, False, False


def _texts(given: str, space: SearchSpace) -> Iterator[tuple[str, str]]:
    """Yield the texts of architectures, each with where it comes from."""
    is_run, is_export, is_file = _kinds(given)
    path = Path(given).expanduser() if is_export or is_file else Path(given)
    if is_run:
        name, number = _split(given)
        folder = Path(name).expanduser()
        rows = evaluations_of(RunFolder.open(folder), "start", space)
        order = best_first(rows)[:number]
        yield from ((text, f" in {folder}") for text in rows["architecture"].take(pa.array(order)).to_pylist())
    elif is_export or (is_file and path.suffix == ".json"):
        yield _exported(path / "architecture.json" if is_export else path), f" in {path}"
    elif is_file and path.suffix.lower() in (".csv", ".tsv", ".parquet"):
        from archsearch.evaluators.tables.plain_file import architectures_of

        yield from ((text, f" in {path}") for text in architectures_of(path)[2])
    elif is_file:
        for number_of_line, line in enumerate(_lines(path), 1):
            if (text := line.strip()) and not text.startswith("#"):
                yield text, f" in line {number_of_line} of {path}"
    else:
        yield given, ""


def evaluations_of(folder: RunFolder, argument: str, space: SearchSpace) -> pa.Table:
    """Return the successful evaluations of a run, as its report has them.

    Args:
        folder: The run.
        argument: The argument that named it, for messages.
        space: The space that it must have searched.

    Raises:
        ConfigurationError: The run is of another space.
        RunError: It has no evaluations yet, or they cannot be read.
    """
    searched = folder.configuration().space
    named = get_space(searched).name if searched.startswith(PREFIX) else searched
    if named != space.name:
        raise ConfigurationError(
            f"{argument}: expected a run in the space {space.name}; {folder.path} is one in {searched}. Give one of this space."
        )
    path = folder.report / "evaluations.parquet"
    try:
        rows = pq.read_table(path)
    except FileNotFoundError as error:
        raise RunError(
            f"{argument}: {folder.path} has no evaluations yet; continue it with: archsearch resume {folder.address}"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{argument}: cannot read {path} ({first_line(error)}); write it again with: archsearch resume {folder.address}"
        ) from error
    return rows.filter(pc.and_(pc.is_null(rows["error"]), pc.is_finite(rows["score"])))


def _exported(path: Path) -> str:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return str(content["architecture"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"start: expected the architecture.json of an export; cannot read {path} ({first_line(error)})."
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"start: cannot read {path} ({first_line(error)}); give a text file, one architecture a line."
        ) from error


def _parsed(text: str, origin: str, space: SearchSpace) -> Any:
    try:
        return space.parse(text)
    except ArchitectureError as error:
        raise ConfigurationError(
            f"start: expected an architecture of {space.name}, a file of them, or the folder of a run; got {text!r}{origin} "
            f"({first_line(error)})"
        ) from error
