"""The folder of a run: its settings, what scores it, and what it took from the ledger."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from archsearch.atomic_file import written_atomically
from archsearch.cluster import Entry, Ledger
from archsearch.errors import ConfigurationError, LedgerError, RunError, check_kind, did_you_mean
from archsearch.evaluators import Evaluation
from archsearch.platform.configuration import SearchConfiguration, from_mapping, read_yaml, write_yaml
from archsearch.searchers import Observation

LEDGER = "ledger"
_SETTINGS, _EVALUATOR, _TRACKING = "run.yaml", "evaluator.txt", "mlflow-run-id.txt"
_PAID, _REUSED, _SPENT = "has-paid.txt", "reused.jsonl", "spent.jsonl"
# Without these a search would be another one; with another value, too.
_NEEDED = ("space", "searcher", "evaluator", "seed", "num_candidates", "deterministic")
_KEPT = ("space", "searcher", "seed", "deterministic")


class RunFolder:
    """`STORAGE/NAME`: the files of a run.

    `run.yaml` holds its settings, `evaluator.txt` the fingerprint of what scores it, `reused.jsonl` what it took from the ledger,
    `spent.jsonl` the seconds that the searcher itself took, and `has-paid.txt` is there once the ledger holds evaluations of it.
    Tune's own files are in `tune/`, the report in `report/`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, configuration: SearchConfiguration, name: str) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            RunError: It exists already, or cannot be made.
        """
        path = Path(configuration.storage) / name
        try:
            path = path.expanduser()
            path.mkdir(parents=True)
        except FileExistsError as error:  # also where another search has made it just now
            raise RunError(
                f"name: the run folder {path} exists already; choose another name, or continue it with: "
                f"archsearch resume {shlex.quote(str(path))}"
            ) from error
        except (OSError, RuntimeError, ValueError) as error:  # a ~USER that there is not, a text that no path can have
            raise RunError(
                f"storage: cannot make the run folder {path} ({_why(error)}); choose a folder that can be written."
            ) from error
        try:
            with _writing(path), written_atomically(path / _SETTINGS) as temporary:
                write_yaml(configuration, temporary)
        except RunError:
            with suppress(OSError):  # else the name would be taken by a run that never started
                path.rmdir()
            raise
        return cls(path)

    @classmethod
    def open(cls, run: str | Path) -> RunFolder:
        """Return the folder of an earlier run.

        Args:
            run: Path of the folder, such as `runs/NAME`.

        Raises:
            RunError: The folder does not exist or does not hold a run.
            ConfigurationError: `run` is not a path.
        """
        check_kind("run", run, (str, Path), "the folder of a run, such as runs/NAME")
        try:
            path = Path(run).expanduser().absolute()
        except RuntimeError as error:  # the home of an unknown user, ~USER
            raise RunError(f"run: there is no run in {run} ({error}).") from error
        if not (path / _SETTINGS).is_file():
            siblings = sorted(entry.parent.name for entry in path.parent.glob(f"*/{_SETTINGS}")) if path.parent.is_dir() else []
            hint = did_you_mean(path.name, siblings) or (f" Runs there: {', '.join(siblings[-5:])}." if siblings else "")
            raise RunError(f"run: there is no run in {path} (no {_SETTINGS}).{hint}")
        return cls(path)

    def configuration(self) -> SearchConfiguration:
        """Return the settings that the run was started with.

        Raises:
            RunError: They cannot be read, or are not whole.
        """
        path = self.path / _SETTINGS
        try:
            settings = read_yaml(path)
            configuration = from_mapping(settings, origin=str(path))
        except ConfigurationError as error:
            raise RunError(
                f"run: the settings of the run cannot be read, restore the file or start a new run. {error}"
            ) from error
        if missing := [name for name in _NEEDED if name not in settings]:
            raise RunError(f"run: {path} is damaged, it lacks {', '.join(missing)}; restore it or start a new run.")
        return configuration

    def bind(self, configuration: SearchConfiguration, fingerprint: str) -> None:
        """Take note of what scores the run; when it is resumed, make sure that this and the settings that matter are the same.

        Raises:
            RunError: Something differs, so that the search would be another one.
        """
        before = self.configuration()
        for name in _KEPT:
            old, new = getattr(before, name), getattr(configuration, name)
            if old != new:
                raise RunError(
                    f"{name}: the run {self.name} was started with {old!r}; got {new!r}. "
                    "Resume it as it was, or start a new run under another name."
                )
        path = self.path / _EVALUATOR
        if not path.exists():
            with _writing(self.path), written_atomically(path) as temporary:
                temporary.write_text(fingerprint)
        elif (old := path.read_text().strip()) != fingerprint:
            raise RunError(
                f"evaluator: the run {self.name} was scored by an evaluator of fingerprint {old}; this one has {fingerprint}. "
                "Its settings or its data have changed, so scores do not compare. Restore them, or start a new run."
            )

    def check_history(self, ledger: Ledger, recorded: int) -> None:
        """Make sure, when the run is resumed, that the ledger still holds what the run paid for.

        Args:
            ledger: Where it was recorded.
            recorded: Evaluations of the run that the ledger holds.

        Raises:
            LedgerError: It holds none, though there were some: the search would start over.
        """
        if not recorded and (self.path / _PAID).exists():
            raise LedgerError(
                f"storage: the run {self.name} has paid for evaluations, but the ledger in {ledger.folder} holds none of them. "
                "Restore the ledger, or start a new run under another name."
            )

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    def new_tune_folder(self) -> Path:
        """Return a folder name for Tune's own files that was not used before: a resumed run is a new Tune experiment."""
        return self.path / "tune" / time.strftime("%Y%m%d-%H%M%S")

    def note_outcomes(self, observations: Sequence[Observation]) -> None:
        """Record which candidates the ledger answered, so that a resumed run counts them too, and whether it got some."""
        if any(observation.evaluation.ok and not observation.reused for observation in observations):
            with _writing(self.path):
                (self.path / _PAID).touch()
        reused = [observation for observation in observations if observation.reused]
        if not reused:
            return
        now = time.time_ns()
        rows = [[now, observation.batch, observation.position, observation.evaluation.key] for observation in reused]
        with _writing(self.path), (self.path / _REUSED).open("a+b") as file:
            _drop_unfinished_line(file)
            file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
            file.flush()
            os.fsync(file.fileno())

    def note_spent(self, candidates: int, seconds: float) -> None:
        """Record what the searcher itself took (fits, rankings, proposals) to choose what came after so many candidates."""
        with _writing(self.path), (self.path / _SPENT).open("a+b") as file:
            _drop_unfinished_line(file)
            file.write(json.dumps([candidates, seconds]).encode() + b"\n")

    def spent(self) -> list[tuple[int, float]]:
        """Return candidates and seconds as `note_spent` got them, by rising number of candidates.

        A deterministic search that is resumed chooses its candidates again: what it spent the first time counts.

        Raises:
            RunError: The record is damaged.
        """
        path = self.path / _SPENT
        found: list[tuple[int, float]] = []
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1] if path.exists() else [], 1):
            try:
                candidates, seconds = json.loads(line)
                row = int(candidates), float(seconds)
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"run: line {number} of {path} is damaged; remove the line, its seconds will not count."
                ) from error
            if not found or row[0] > found[-1][0]:
                found.append(row)
        return found

    def outcomes(self, entries: Sequence[Entry], known: Mapping[str, Evaluation]) -> list[Observation]:
        """Return the outcomes of the run so far, paid and reused, batch by batch in the order in which batches were complete.

        Args:
            entries: What the ledger holds of this run.
            known: What the ledger holds, by key.

        Raises:
            RunError: The record of reused candidates is damaged.
        """
        rows = [(entry.recorded, Observation(entry.batch, entry.position, entry.evaluation, False)) for entry in entries]
        paid = {entry.evaluation.key for entry in entries}
        reused = {key: place for *place, key in self._reused() if key not in paid and key in known}
        rows += [(when, Observation(batch, position, known[key], True)) for key, (when, batch, position) in reused.items()]
        complete: dict[int, int] = {}
        for when, observation in rows:
            complete[observation.batch] = max(when, complete.get(observation.batch, 0))
        rows.sort(key=lambda row: (complete[row[1].batch], row[1].batch, row[1].position))
        return [observation for _, observation in rows]

    def _reused(self) -> Iterator[tuple[int, int, int, str]]:
        """Yield time, batch, position and key of each reused candidate."""
        path = self.path / _REUSED
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        for number, line in enumerate(lines[:-1], 1):  # what follows the last line feed is the line of a run that was killed
            try:
                when, batch, position, key = json.loads(line)
                yield int(when), int(batch), int(position), str(key)
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"run: line {number} of {path} is damaged; remove the line, then resume: its candidate may be proposed again."
                ) from error

    @property
    def tracking_id(self) -> str | None:
        """Id of the run in MLflow, if it has one."""
        path = self.path / _TRACKING
        return path.read_text().strip() or None if path.exists() else None

    @tracking_id.setter
    def tracking_id(self, run_id: str) -> None:
        with written_atomically(self.path / _TRACKING, durable=False) as temporary:
            temporary.write_text(run_id)


def _drop_unfinished_line(file: BinaryIO) -> None:
    """Cut off what a killed run left of a line."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say of a full or read-only disk that it is one."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"storage: cannot write to the run folder {path} ({_why(error)}). What was evaluated is in the ledger; mend that, "
            "then resume."
        ) from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def run_name(searcher: str, space: str, task: str, seed: int) -> str:
    """Return a name that says what was searched, and when."""
    stem = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in (searcher, space, task[-40:]))
    return f"{stem}-s{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
