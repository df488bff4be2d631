"""Every evaluation, once: small Parquet parts, each written whole."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from archsearch.errors import LedgerError
from archsearch.evaluators.evaluation import Evaluation
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        ("space", pa.string()),
        ("key", pa.string()),
        ("evaluator", pa.string()),
        ("fidelity", pa.string()),
        ("seed", pa.int64()),
        ("architecture", pa.string()),
        ("score", pa.float64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("metrics", pa.map_(pa.string(), pa.float64())),
        ("curves", pa.map_(pa.string(), pa.list_(pa.float64()))),
        ("run", pa.string()),
        ("batch", pa.int64()),
        ("position", pa.int64()),
        ("recorded", pa.int64()),
    ]
)
_SUFFIX, _DAMAGED = ".parquet", ".damaged"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger.

    Args:
        evaluation: What was found out.
        run: Name of the run that paid for it.
        batch: Number of the batch in that run.
        position: Place in the batch.
        recorded: When it was written, nanoseconds since 1970.
    """

    evaluation: Evaluation
    run: str
    batch: int
    position: int
    recorded: int


class Ledger:
    """The evaluations of one evaluator, in a folder of a file system that pyarrow knows.

    An evaluation is identified by space, canonical key, evaluator fingerprint, fidelity and seed. Parts are never changed: a
    reader sees a part whole or not at all. A part that cannot be read is set aside (renamed to `*.damaged`) and reported; the
    others stay intact.

    Args:
        root: Folder of all ledgers: a local path, or a URI such as `s3://bucket/folder`.
        space: Space of the architectures.
        evaluator: Fingerprint of the evaluator.
        fidelity: How much training an evaluation buys.
        seed: Seed of the evaluator.

    Raises:
        LedgerError: The folder cannot be made or read.
    """

    def __init__(self, root: str | Path, space: SearchSpace, evaluator: str, fidelity: str = "full", seed: int = 0) -> None:
        self.space, self.evaluator, self.fidelity, self.seed = space, evaluator, fidelity, seed
        self.root = str(root)
        try:
            self._files, base = _open(self.root)
            self._folder = f"{base}/{space.name}/{evaluator}"
            self._files.create_dir(self._folder, recursive=True)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot make the ledger in {self.root} ({_reason(error)}); choose a folder that can be written."
            ) from error

    def append(self, run: str, batch: int, evaluations: Sequence[tuple[int, Evaluation]]) -> None:
        """Write evaluations of one batch, each with its position in the batch, as a new part.

        Raises:
            LedgerError: The part cannot be written. Nothing half-written is left under a part's name.
        """
        rows = [self._row(run, batch, position, evaluation) for position, evaluation in evaluations]
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        path = f"{self._folder}/{_prefix(run, batch)}{time.time_ns():020d}{_SUFFIX}"
        try:
            _write_whole(self._files, path, table)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot write to the ledger in {self._folder} ({_reason(error)}); mend that, then resume."
            ) from error

    def entries(self, run: str | None = None, batch: int | None = None) -> list[Entry]:
        """Return what is recorded (of one run, of one of its batches), in the order of recording, each identity once.

        Of several records of an identity the first success counts, or else the first failure.

        Raises:
            LedgerError: The folder cannot be read.
        """
        prefix = "" if run is None else _prefix(run, batch)
        tables = [table for path in self._parts(prefix) if (table := self._read(path)) is not None]
        found: dict[tuple[str, str], Entry] = {}
        rows = [row for table in tables for row in table.to_pylist()]
        for row in sorted(rows, key=lambda row: (row["recorded"], row["batch"], row["position"])):
            if self._is_mine(row) and (run is None or row["run"] == run) and (batch is None or row["batch"] == batch):
                identity = (row["key"], row["architecture"] if run else "")
                if identity not in found or (row["error"] is None and not found[identity].evaluation.ok):
                    found[identity] = self._entry(row)
        return list(found.values())

    def _is_mine(self, row: dict[str, object]) -> bool:
        return row["fidelity"] == self.fidelity and row["seed"] == self.seed

    def _parts(self, prefix: str) -> list[str]:
        try:
            infos = self._files.get_file_info(pafs.FileSelector(self._folder))
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot read the ledger in {self._folder} ({_reason(error)}); mend that, then resume."
            ) from error
        return sorted(info.path for info in infos if info.base_name.startswith(prefix) and info.base_name.endswith(_SUFFIX))

    def _read(self, path: str) -> pa.Table | None:
        try:
            with self._files.open_input_file(path) as file:
                return pq.read_table(file).select(SCHEMA.names).cast(SCHEMA)
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException, KeyError) as error:
            logger.warning("the ledger part %s is damaged (%s); it is set aside as *%s", path, _reason(error), _DAMAGED)
            with suppress(FileNotFoundError):  # another reader was faster
                self._files.move(path, path + _DAMAGED)
            return None

    def _row(self, run: str, batch: int, position: int, evaluation: Evaluation) -> dict[str, object]:
        return {
            "space": self.space.name,
            "key": evaluation.key,
            "evaluator": self.evaluator,
            "fidelity": self.fidelity,
            "seed": self.seed,
            "architecture": str(evaluation.architecture),
            "score": evaluation.score,
            "seconds": evaluation.seconds,
            "error": evaluation.error,
            "metrics": list(evaluation.metrics.items()),
            "curves": [(name, list(values)) for name, values in evaluation.curves.items()],
            "run": run,
            "batch": batch,
            "position": position,
            "recorded": time.time_ns(),
        }

    def _entry(self, row: dict[str, object]) -> Entry:
        evaluation = Evaluation(
            self.space.parse(row["architecture"]),  # type: ignore[arg-type]
            row["key"],  # type: ignore[arg-type]
            row["score"],  # type: ignore[arg-type]
            dict(row["metrics"]),  # type: ignore[call-overload]
            row["seconds"],  # type: ignore[arg-type]
            row["error"],  # type: ignore[arg-type]
            {name: tuple(values) for name, values in row["curves"]},  # type: ignore[attr-defined]
        )
        return Entry(evaluation, row["run"], row["batch"], row["position"], row["recorded"])  # type: ignore[arg-type]


def known_evaluations(entries: Iterable[Entry]) -> dict[str, Evaluation]:
    """Return the successful evaluations by key: what need not be paid again."""
    return {entry.evaluation.key: entry.evaluation for entry in entries if entry.evaluation.ok}


def _prefix(run: str, batch: int | None) -> str:
    return f"{run}~" if batch is None else f"{run}~{batch:06d}~"


def _open(root: str) -> tuple[pafs.FileSystem, str]:
    if "://" in root:
        files, path = pafs.FileSystem.from_uri(root)
        return files, path.rstrip("/")
    return pafs.LocalFileSystem(), str(Path(root).expanduser().absolute())


def _write_whole(files: pafs.FileSystem, path: str, table: pa.Table) -> None:
    """Write a file so that it appears under its name complete, also after a power cut."""
    if not isinstance(files, pafs.LocalFileSystem):
        with files.open_output_stream(path) as stream:  # object stores show an upload when it is complete
            pq.write_table(table, stream)
        return
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
