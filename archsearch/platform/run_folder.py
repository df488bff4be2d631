"""The folder of a run: its settings, the fingerprint of its evaluator, and the candidates that it reused from the ledger."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from archsearch.atomic_file import written_atomically
from archsearch.cluster import Entry, Ledger
from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ConfigurationError, LedgerError, RunError, check_kind, did_you_mean
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.platform.configuration import SearchConfiguration, from_mapping, read_yaml, write_yaml
from archsearch.platform.run_state import runs_here
from archsearch.searchers import Observation
from archsearch.spaces import get as get_space
from archsearch.spaces.imported import PREFIX

LEDGER = "ledger"
_SETTINGS, _EVALUATOR, _TRACKING = "run.yaml", "evaluator.txt", "mlflow-run-id.txt"
_PAID, _REUSED, _SPENT = "has-paid.txt", "reused.jsonl", "spent.jsonl"
# Settings that decide what is searched: `_NEEDED` must be in run.yaml, `_KEPT` must be the same when a run is resumed.
_NEEDED = ("space", "searcher", "evaluator", "seed", "num_candidates", "deterministic")
_KEPT = ("space", "searcher", "seed", "deterministic", "simulated_workers", "scheduler", "scheduler_options")
_UPLOAD_SECONDS = 10.0


class RunFolder:
    """`STORAGE/NAME`: the files of a run.

    `run.yaml` holds its settings, `evaluator.txt` the fingerprint of its evaluator, `reused.jsonl` the candidates that it took
    from the ledger, `spent.jsonl` the seconds that the searcher itself took. `has-paid.txt` exists once the ledger holds
    evaluations of this run. The files of Ray Tune are in `tune/`, the report is in `report/`.

    Args:
        path: The folder on this machine.
        place: Where the run is stored, if that is a bucket: `path` is then the working copy. Changes are uploaded every ten
            seconds and by `upload`; what a killed run has not uploaded is lost, evaluations (in the ledger) excepted.
    """

    def __init__(self, path: Path, place: StoragePlace | None = None) -> None:
        self.path = path
        self._place = place or StoragePlace.of(path)
        self._uploaded = time.monotonic()

    @classmethod
    def create(cls, configuration: SearchConfiguration, name: str) -> RunFolder:
        """Create the folder of a new run.

        Raises:
            RunError: The folder exists already, or cannot be created.
        """
        place = StoragePlace.of(configuration.storage).child(name)
        path = place.local
        if place.is_remote:
            if place.holds(_SETTINGS):
                raise exists_already(place)
            shutil.rmtree(path, ignore_errors=True)  # the working copy of a run that was removed from the bucket
        try:
            path.mkdir(parents=True)
        except FileExistsError as error:  # another search may have created it a moment ago
            raise exists_already(place) from error
        except (OSError, RuntimeError, ValueError) as error:  # an unknown ~USER, or a string that is no valid path
            raise RunError(f"storage: cannot create the run folder {path} ({_why(error)}); choose a writable folder.") from error
        try:
            with _writing(path), written_atomically(path / _SETTINGS) as temporary:
                write_yaml(configuration, temporary)
        except RunError:
            with suppress(OSError):  # else the name would be taken by a run that never started
                path.rmdir()
            raise
        folder = cls(path, place)
        folder.upload()
        return folder

    @classmethod
    def exists(cls, storage: str, name: str) -> bool:
        """Return whether a storage has a folder of this run.

        Raises:
            RunError: The storage is a bucket that cannot be read.
        """
        place = StoragePlace.of(storage).child(name)
        return place.holds(_SETTINGS) if place.is_remote else place.local.is_dir()

    @classmethod
    def open(cls, run: str | Path) -> RunFolder:
        """Return the folder of an earlier run.

        Args:
            run: Path of the folder, such as `runs/NAME`, or its URI, such as `s3://bucket/runs/NAME`.

        Raises:
            RunError: The folder does not exist or does not hold a run.
            ConfigurationError: `run` is not a path.
        """
        check_kind("run", run, (str, Path), "the folder of a run, such as runs/NAME")
        place = StoragePlace.of(run, "run")
        if not place.holds(_SETTINGS):
            siblings = place.parent().names(_SETTINGS)
            hint = did_you_mean(place.name, siblings) or (f" Runs there: {', '.join(siblings[-5:])}." if siblings else "")
            raise RunError(f"run: there is no run in {place.address} (no {_SETTINGS}).{hint}")
        if not (place.is_remote and runs_here(place.local)):  # else the working copy is newer than the bucket
            place.download()
        return cls(place.local, place)

    def configuration(self) -> SearchConfiguration:
        """Return the settings that the run was started with.

        Raises:
            RunError: The file cannot be read, or a setting is missing.
        """
        path = self.path / _SETTINGS
        try:
            settings = read_yaml(path)
            configuration = from_mapping(settings, origin=str(path))
        except ConfigurationError as error:
            raise RunError(f"run: cannot read the settings of the run; restore the file or start a new run. {error}") from error
        if missing := [name for name in _NEEDED if name not in settings]:
            raise RunError(f"run: {path} is corrupt, it lacks {', '.join(missing)}; restore it or start a new run.")
        return configuration

    def bind(self, configuration: SearchConfiguration, fingerprint: str) -> None:
        """Write the fingerprint of the evaluator; when a run is resumed, compare it and the settings that decide the search.

        Raises:
            RunError: The fingerprint or one of these settings differs from that of the run.
        """
        before = self.configuration()
        for name in _KEPT:
            old, new = getattr(before, name), getattr(configuration, name)
            if old != new and not (name == "space" and _same_space(old, new)):
                raise RunError(
                    f"{name}: the run {self.name} was started with {old!r}; got {new!r}. "
                    "Resume it with the same settings, or start a new run under another name."
                )
        path = self.path / _EVALUATOR
        if not path.exists():
            with _writing(self.path), written_atomically(path) as temporary:
                temporary.write_text(fingerprint)
        elif (old := path.read_text().strip()) != fingerprint:
            raise RunError(
                f"evaluator: the run {self.name} was scored by an evaluator of fingerprint {old}; this one has {fingerprint}. "
                "Its settings or its data have changed, so scores are not comparable. Restore them, or start a new run."
            )

    def update(self, configuration: SearchConfiguration) -> None:
        """Write changed settings of a run that is resumed, so that the next resume has them too."""
        with _writing(self.path), written_atomically(self.path / _SETTINGS) as temporary:
            write_yaml(configuration, temporary)

    def discard(self) -> None:
        """Remove the folder of a run that has evaluated nothing, so that the same command can be given again."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(RunError):  # in a bucket: what was removed here is removed there
            self.upload()

    def check_history(self, ledger: Ledger, recorded: int) -> None:
        """Raise LedgerError if a resumed run has evaluated candidates and the ledger holds none of them.

        Args:
            ledger: The ledger of the run.
            recorded: Number of evaluations of the run in the ledger.

        Raises:
            LedgerError: The ledger was emptied or replaced; the search would start over.
        """
        if not recorded and (self.path / _PAID).exists():
            raise LedgerError(
                f"storage: the run {self.name} has evaluated candidates, but the ledger in {ledger.folder} holds none of them. "
                "Restore the ledger, or start a new run under another name."
            )

    def ledger(self, evaluator: Evaluator) -> Ledger | None:
        """Return the ledger of the run, or None if the run has not bound its evaluator yet.

        Its data is not read again: the fingerprint is that in the folder.
        """
        path = self.path / _EVALUATOR
        if not path.exists():
            return None
        return Ledger(f"{self.path.parent}/{LEDGER}", evaluator.space, path.read_text().strip(), seed=evaluator.seed)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def address(self) -> str:
        """What `open` and `archsearch resume` take: the path of the folder, or its URI in a bucket."""
        return self._place.address

    @property
    def storage(self) -> str:
        """The storage that the run is in, a path or a URI."""
        return self._place.parent().address

    def upload(self) -> None:
        """Write the changed files to the bucket, if the run is stored in one.

        Raises:
            RunError: The bucket cannot be written.
        """
        self._place.upload()
        self._uploaded = time.monotonic()

    def _upload_in_time(self) -> None:
        if time.monotonic() - self._uploaded > _UPLOAD_SECONDS:
            self.upload()

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.path / "report"

    def new_tune_folder(self) -> Path:
        """Return an unused folder name for the files of Ray Tune; a resumed run is a new Tune experiment."""
        return self.path / "tune" / time.strftime("%Y%m%d-%H%M%S")

    def note_outcomes(self, observations: Sequence[Observation]) -> None:
        """Record which candidates were reused from the ledger, for a resumed run, and that the run has evaluated some itself."""
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
        """Record the seconds that the searcher took (fits, rankings, proposals) for a batch.

        Args:
            candidates: Number of candidates before the batch.
            seconds: Seconds of the searcher itself.
        """
        with _writing(self.path), (self.path / _SPENT).open("a+b") as file:
            _drop_unfinished_line(file)
            file.write(json.dumps([candidates, seconds]).encode() + b"\n")
        self._upload_in_time()

    def spent(self) -> list[tuple[int, float]]:
        """Return the pairs (candidates, seconds) of `note_spent`, by increasing number of candidates.

        A deterministic search that is resumed chooses its candidates again; the seconds of the first time count.

        Raises:
            RunError: The file is corrupt.
        """
        path = self.path / _SPENT
        found: list[tuple[int, float]] = []
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1] if path.exists() else [], 1):
            try:
                candidates, seconds = json.loads(line)
                row = int(candidates), float(seconds)
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"run: line {number} of {path} is corrupt; remove the line, its seconds will not count."
                ) from error
            if not found or row[0] > found[-1][0]:
                found.append(row)
        return found

    def outcomes(self, entries: Sequence[Entry], known: Mapping[str, Evaluation]) -> list[Observation]:
        """Return the outcomes of the run so far, evaluated and reused, by batch, in the order in which batches were completed.

        Args:
            entries: Evaluations of this run in the ledger.
            known: All evaluations in the ledger, by key.

        Raises:
            RunError: The file of reused candidates is corrupt.
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
        for number, line in enumerate(
            lines[:-1], 1
        ):  # after the last line feed stands the unfinished line of a run that was killed
            try:
                when, batch, position, key = json.loads(line)
                yield int(when), int(batch), int(position), str(key)
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"run: line {number} of {path} is corrupt; remove the line, then resume: its candidate may be proposed again."
                ) from error

    @property
    def tracking_id(self) -> str | None:
        """Id of the MLflow run, or None if tracking was off."""
        path = self.path / _TRACKING
        return path.read_text().strip() or None if path.exists() else None

    @tracking_id.setter
    def tracking_id(self, run_id: str) -> None:
        with written_atomically(self.path / _TRACKING, durable=False) as temporary:
            temporary.write_text(run_id)


def exists_already(place: StoragePlace) -> RunError:
    """Return the error for the name of a new run that is taken."""
    if not place.holds(_SETTINGS):
        return RunError(f"name: {place.address} exists already, and is no run; choose another name.")
    return RunError(
        f"name: the run folder {place.address} exists already; choose another name, or continue the run with: "
        f"archsearch resume {shlex.quote(place.address)}"
    )


def _same_space(old: str, new: str) -> bool:
    """Return whether two settings name the same space, one of them perhaps by its module, `python:MODULE:CLASS`."""
    names = [get_space(text).name if text.startswith(PREFIX) else text for text in (old, new)]
    return names[0] == names[1]


def _drop_unfinished_line(file: BinaryIO) -> None:
    """Remove an unfinished last line, which a killed run leaves behind."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 1, 0))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn OSError, such as that of a full or read-only disk, into RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"storage: cannot write to the run folder {path} ({_why(error)}). Evaluations are safe in the ledger: make "
            "the folder writable, then resume."
        ) from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def run_name(searcher: str, space: str, task: str, seed: int) -> str:
    """Return a name made of searcher, space, task, seed and time."""
    stem = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in (searcher, space, task[-40:]))
    return f"{stem}-s{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
