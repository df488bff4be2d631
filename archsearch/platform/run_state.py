"""The state of a run: a small file that its search rewrites every two seconds, and that any other process may read.

Neither Ray nor PyTorch is imported, so that `archsearch status` and `archsearch runs` answer at once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from archsearch.atomic_file import written_atomically
from archsearch.credentials import hidden
from archsearch.errors import ArchSearchError, RunError, SearchStopped, did_you_mean, message_in_one_line

if TYPE_CHECKING:
    from archsearch.cluster.storage_place import StoragePlace

FILE = "state.json"
PERIOD = 2.0
"""Seconds between two signs of life."""
SILENCE = 60.0
"""Seconds without a sign of life after which a search counts as stopped; on the machine where it ran its process is asked too."""

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


@dataclass(frozen=True)
class RunState:
    """The state of a run as plain data.

    Args:
        name: Name of the run.
        space: Name of the search space.
        searcher: Name of the searcher.
        evaluator: The evaluator as text.
        total: Number of candidates asked for.
        status: `running`, `finished`, `stopped` (it can be resumed) or `failed`.
        note: Why it stopped or failed, or an empty string.
        started: Time of the (last) start, seconds since 1970; 0 if unknown.
        updated: Time of the last sign of life, seconds since 1970.
        host: Name of the machine on which the search runs.
        process: Process id of the search there.
        done: Number of candidates with an outcome.
        failed: Number of them without a score.
        reused: Number of them from the ledger.
        best: Highest score so far; None if there is none.
        percent: Whether scores are accuracies, shown in percent.
        lower_is_better: Whether scores are the negatives of losses, which are shown.
        rate: Candidates per second of this session; None before the first.
        left: Estimated seconds left; None if unknown.
        improvements: The last improvements, oldest first: pairs (number of the candidate, score).
        failures: Reasons of failures with their counts, most frequent first.
        stopped_early: Number of candidates that a scheduler stopped before their evaluation was complete.
        paused: Number of candidates that a scheduler has paused.
        best_at: After how many steps the best was scored, in words; empty if its evaluation is complete.
    """

    name: str
    space: str = ""
    searcher: str = ""
    evaluator: str = ""
    total: int = 0
    status: str = RUNNING
    note: str = ""
    started: float = 0.0
    updated: float = 0.0
    host: str = ""
    process: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    best: float | None = None
    percent: bool = False
    rate: float | None = None
    left: float | None = None
    improvements: Sequence[tuple[int, float]] = ()
    failures: Sequence[tuple[str, int]] = ()
    stopped_early: int = 0
    paused: int = 0
    best_at: str = ""
    lower_is_better: bool = False

    def seen_at(self, now: float, host: str) -> RunState:
        """Return the state as it is at `now` (seconds since 1970), seen from the machine `host`.

        A search that was killed had no time to say so: its file still says `running`.
        """
        if self.status != RUNNING:
            return self
        here = self.host == host
        if here and not _is_alive(self.process):
            return replace(
                self, status=STOPPED, note="its process has ended without a word: it was killed, or the machine went down"
            )
        if now - self.updated > SILENCE:
            silence = f"no sign of life for {now - self.updated:.0f} seconds"
            there = f"the process {self.process} exists, but does nothing" if here else f"look after {self.host}"
            return replace(self, status=STOPPED, note=f"{silence}; {there}")
        return self


def read_state(run: str | Path) -> RunState:
    """Return the state of a run from the files in its folder, while it runs, afterwards, and after it was killed.

    Args:
        run: Folder of the run, such as `runs/NAME` or `s3://bucket/runs/NAME`.

    Raises:
        RunError: The folder holds no run, or its state cannot be read.
        ConfigurationError: `run` is a URI that archsearch does not read.
    """
    if "://" in str(run):
        from archsearch.cluster.storage_place import StoragePlace  # which loads Ray

        place = StoragePlace.of(run, "run")
        if place.is_remote and not runs_here(place.local):
            return _in_bucket(place)
        run = place.local
    path = Path(run).expanduser()
    settings = path / "run.yaml"
    if not settings.is_file():
        siblings = sorted(entry.parent.name for entry in path.parent.glob("*/run.yaml")) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, siblings) or (f" Runs there: {', '.join(siblings[-5:])}." if siblings else "")
        raise RunError(f"run: there is no run in {path} (no run.yaml).{hint}")
    file = path / FILE
    if not file.exists():
        return _of_settings(path, settings)
    return _parsed(lambda: file.read_text(encoding="utf-8"), path.resolve().name, str(file), str(path))


def runs_here(folder: Path) -> bool:
    """Return whether a search of this machine is writing this folder now."""
    file = folder / FILE
    try:
        state = _parsed(lambda: file.read_text(encoding="utf-8"), folder.name, str(file), str(folder))
    except RunError:
        return False
    return state.status == RUNNING and state.host == socket.gethostname()


def _in_bucket(place: StoragePlace) -> RunState:
    """Return the state of a run in a bucket, as its search uploaded it at most some ten seconds ago."""
    if not place.holds("run.yaml"):
        siblings = place.parent().names("run.yaml")
        hint = did_you_mean(place.name, siblings) or (f" Runs there: {', '.join(siblings[-5:])}." if siblings else "")
        raise RunError(f"run: there is no run in {place.address} (no run.yaml).{hint}")
    text = place.text(FILE)
    if text is None:
        return RunState(place.name, status=STOPPED, note="it has left no state: it began before such files were written")
    return _parsed(lambda: text, place.name, f"{FILE} in {place.address}", place.address)


def _parsed(read: Callable[[], str], name: str, file: str, run: str) -> RunState:
    """Return the state in the text of a file, as it is now."""
    try:
        state = _from_json(json.loads(read()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"run: cannot read {file} ({message_in_one_line(error, 200)}); remove the file, then: archsearch resume {run}"
        ) from error
    return replace(state, name=name).seen_at(time.time(), socket.gethostname())


def all_states(storage: str | Path) -> list[RunState]:
    """Return the states of all runs in a storage folder, the newest first; of a damaged one only its name and what is wrong.

    Raises:
        RunError: The folder does not exist.
    """
    if "://" in str(storage):
        from archsearch.cluster.storage_place import StoragePlace  # which loads Ray

        place = StoragePlace.of(storage)
        names = place.names("run.yaml") if place.is_remote else []
        if place.is_remote:
            return _newest_first([_read_or_named(place.child(name).address, name) for name in names])
        storage = place.local
    folder = Path(storage).expanduser()
    if not folder.is_dir():
        raise RunError(f"storage: there is no folder {folder}. Give the one of your searches: archsearch runs --storage FOLDER")
    return _newest_first([_read_or_named(settings.parent, settings.parent.name) for settings in folder.glob("*/run.yaml")])


def _read_or_named(run: str | Path, name: str) -> RunState:
    """Return the state of a run; of a damaged one its name and what is wrong."""
    try:
        return read_state(run)
    except RunError as error:
        return RunState(name, status=FAILED, note=message_in_one_line(error, 200))


def _newest_first(states: list[RunState]) -> list[RunState]:
    return sorted(states, key=lambda state: (-state.updated, state.name))


class Heartbeat:
    """Writes the state of a run while its search runs, and how it ended.

    A thread writes every `PERIOD` seconds, so that a long fit of a surrogate is no silence. A disk that is full does not end the
    search: the state is then old.

    Args:
        folder: Folder of the run.
        known: Fields of `RunState` that do not change: `space`, `searcher`, `evaluator`, `total`, `percent`.
    """

    def __init__(self, folder: Path, known: Mapping[str, Any]) -> None:
        self._path, self._known = folder / FILE, known
        self._figures: Callable[[], Mapping[str, Any]] = dict
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._started = time.time()
        self._thread = threading.Thread(target=self._beat, name="archsearch-heartbeat", daemon=True)

    def follow(self, figures: Callable[[], Mapping[str, Any]]) -> None:
        """Take the other fields, such as `done` and `best`, from this function from now on."""
        self._figures = figures

    def __enter__(self) -> Self:
        self.write(RUNNING)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            self.write(FINISHED)
        elif isinstance(error, SearchStopped | KeyboardInterrupt):
            self.write(STOPPED)
        else:
            known = message_in_one_line(error, 500)
            self.write(FAILED, known if isinstance(error, ArchSearchError) else f"{type(error).__name__}: {known}")

    def write(self, status: str, note: str = "") -> None:
        """Write the file; a disk that refuses it is ignored."""
        with self._lock, suppress(OSError):
            who = {"host": socket.gethostname(), "process": os.getpid(), "started": self._started, "updated": time.time()}
            fields = {"name": self._path.parent.name, **self._known, **who, **self._figures(), "status": status, "note": note}
            fields |= {name: hidden(value) for name, value in fields.items() if isinstance(value, str)}
            with written_atomically(self._path, durable=False) as temporary:
                temporary.write_text(json.dumps(dataclasses.asdict(RunState(**fields))) + "\n", encoding="utf-8")

    def _beat(self) -> None:
        while not self._over.wait(PERIOD):
            self.write(RUNNING)


def _from_json(content: Mapping[str, Any]) -> RunState:
    """Return the state in a file; fields of a newer version are left out.

    Raises:
        ValueError: A field has another type than it should.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(RunState)} | {"name": ""}
    known = {name: value for name, value in content.items() if name in defaults}
    for name, value in known.items():
        default = defaults[name]
        numbers = (int, float)
        fits = {str: (str,), bool: (bool,), int: (int,), float: numbers, tuple: (list,)}.get(
            type(default), (*numbers, type(None))
        )
        if not isinstance(value, fits) or (isinstance(value, bool) and default is not False):
            raise ValueError(f"{name} is {value!r}")
    for name in ("improvements", "failures"):
        known[name] = tuple((first, second) for first, second in known.get(name, ()))
    return RunState(**known)


def _of_settings(path: Path, settings: Path) -> RunState:
    """Return the state of a run that has not written one: it is older than these files, or did not get that far."""
    from archsearch.platform.configuration import from_mapping, read_yaml

    try:
        configuration = from_mapping(read_yaml(settings), origin=str(settings))
    except ArchSearchError as error:
        raise RunError(f"run: cannot read the settings of the run. {message_in_one_line(error)}") from error
    table = path / "report" / "evaluations.parquet"
    done, best = _counted(table)
    finished = done >= configuration.num_candidates
    return RunState(
        path.resolve().name,
        configuration.space,
        configuration.searcher,
        configuration.evaluator,
        configuration.num_candidates,
        FINISHED if finished else STOPPED,
        "" if finished else "it has left no state: it began before such files were written, or did not get that far",
        updated=(table if table.exists() else settings).stat().st_mtime,
        done=done,
        best=best,
        percent=best is not None and 0.0 <= best <= 1.0,
    )


def _counted(table: Path) -> tuple[int, float | None]:
    """Return the number of candidates in a table of evaluations, and the best score."""
    if not table.exists():
        return 0, None
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        scores = pq.read_table(table, columns=["score"]).column("score")
        best = pc.max(scores.filter(pc.is_finite(scores))).as_py()
    except (pa.ArrowException, OSError, KeyError):
        return 0, None
    return len(scores), best


def _is_alive(process: int) -> bool:
    """Return whether a process of this machine exists."""
    if process <= 0:
        return False
    if sys.platform == "win32":
        return True  # there, a signal would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    try:  # a process that has ended, and whose parent has not noticed, is none
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
