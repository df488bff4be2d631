"""Notes of what each trial is evaluating, from which a retry learns which candidate killed the process."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.storage import write_atomically
from archsearch.errors import LedgerError, first_line

# Readers of Parquet datasets skip names that begin with an underscore, so the ledger's folder stays readable as one.
_FOLDER = "_started"
DEATHS_PER_CANDIDATE = 2
DEATHS_PER_BATCH = 60


@dataclass(slots=True)
class Attempt:
    """Progress of the attempts at one batch.

    Args:
        deaths: For each candidate, by its text, how often the process died while it was evaluated alone.
        trying: Text of the candidate that is evaluated alone; None while several are.
        processes: Number of processes that have begun this batch.
        one_by_one: Whether candidates must be evaluated alone, because one of several killed a process.
    """

    deaths: dict[str, int] = field(default_factory=dict)
    trying: str | None = None
    processes: int = 0
    one_by_one: bool = False

    def after_death(self, unrecorded: Collection[str], node_lost: bool = False) -> None:
        """Count a death for the candidate that was evaluated last, unless it is recorded or the process died with its node."""
        if node_lost:
            return
        if self.trying is None:
            self.one_by_one = True
        elif self.trying in unrecorded:
            self.deaths[self.trying] = self.deaths.get(self.trying, 0) + 1

    def verdict(self, text: str) -> str | None:
        """Return the reason why a candidate must not be evaluated again, or None."""
        if (deaths := self.deaths.get(text, 0)) >= DEATHS_PER_CANDIDATE:
            return f"it killed its process {deaths} times (a crash, or too little memory?)"
        if self.processes >= DEATHS_PER_BATCH:
            return f"given up: {self.processes} processes died in its batch"
        return None


class AttemptNote:
    """The note of one batch, a JSON file from before its first evaluation until the run ends.

    It survives the death of its process but not a power cut, after which the driver continues from the ledger alone.
    """

    def __init__(self, ledger: Ledger, run: str, batch: int) -> None:
        self._files, self._folder = ledger.files, _folder(ledger, run)
        self._path = f"{self._folder}/{batch:06d}.json"
        self._several = False

    def read(self) -> Attempt | None:
        """Return the note of earlier attempts at this batch, or None at the first attempt.

        Raises:
            LedgerError: The note exists but cannot be read.
        """
        try:
            with self._files.open_input_file(self._path) as file:
                return Attempt(**json.loads(file.read()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):  # cut short; but there was an attempt
            return Attempt()
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(f"storage: cannot read {self._path} ({first_line(error)}); mend that, then resume.") from error

    def begin(self, attempt: Attempt, candidates: Sequence[str]) -> None:
        """Note the candidates that are evaluated next; chunks of several candidates in a row share one note.

        Raises:
            LedgerError: The note cannot be written.
        """
        several = len(candidates) > 1
        if several and self._several:
            return
        self._several, attempt.trying = several, None if several else candidates[0]
        content = json.dumps(asdict(attempt)).encode()
        try:
            with suppress(FileNotFoundError):
                return write_atomically(self._files, self._path, content, durable=False)
            self._files.create_dir(self._folder, recursive=True)
            write_atomically(self._files, self._path, content, durable=False)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(f"storage: cannot write {self._path} ({first_line(error)}); mend that, then resume.") from error


def processes_of(ledger: Ledger, run: str, batch: int) -> int:
    """Return the number of processes that have begun a batch.

    Raises:
        LedgerError: The note cannot be read.
    """
    attempt = AttemptNote(ledger, run, batch).read()
    return attempt.processes if attempt else 0


def forget_attempts(ledger: Ledger, run: str) -> None:
    """Remove the notes of a run, before it starts and after it has ended: a resumed run has other batches.

    Raises:
        LedgerError: They cannot be removed.
    """
    try:
        with suppress(FileNotFoundError):
            ledger.files.delete_dir(_folder(ledger, run))
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(f"storage: cannot remove {_folder(ledger, run)} ({first_line(error)}); mend that.") from error


def _folder(ledger: Ledger, run: str) -> str:
    return f"{ledger.folder}/{_FOLDER}/{run}"
