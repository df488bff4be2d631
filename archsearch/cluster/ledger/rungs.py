"""The record of what a scheduler decided in a run, beside the ledger: from it the scheduler gets its rungs back after a stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from archsearch.cluster.ledger.ledger import Ledger
from archsearch.cluster.ledger.part_files import PartFiles
from archsearch.cluster.ledger.records import Entry
from archsearch.errors import LedgerError, check_kind, first_line

RungAction = Literal["START", "CONTINUE", "PAUSE", "RESUME", "STOP", "COMPLETE", "FAIL"]
ENDED = ("STOP", "COMPLETE", "FAIL")
"""Actions after which a candidate is not evaluated any further."""

SCHEMA = pa.schema(
    [
        ("order", pa.int64()),
        ("trial", pa.int64()),
        ("key", pa.string()),
        ("architecture", pa.string()),
        ("fidelity", pa.int64()),
        ("score", pa.float64()),
        ("action", pa.string()),
        ("reason", pa.string()),
        ("seconds", pa.float64()),
        ("recorded", pa.int64()),
        ("metrics", pa.map_(pa.string(), pa.float64())),
    ]
)
# Readers of Parquet datasets skip names that begin with an underscore, so the ledger's folder stays readable as one.
_FOLDER = "_rungs"
_SECONDS_PER_PART = 1.0
_MOST_PARTS = 64


@dataclass(frozen=True, slots=True)
class RungEvent:
    """One event of a candidate under a scheduler.

    Args:
        order: Its place in the course of the run, from 0.
        trial: Number of the candidate, that of its batch.
        key: Key of the candidate.
        architecture: Text of the candidate.
        fidelity: Number of steps that are done.
        score: The score after them; NaN for `START`, `RESUME` and `FAIL`, and where a paused candidate is stopped.
        action: `START`: the candidate begins. `CONTINUE`, `PAUSE`, `STOP`: decisions of the scheduler after a score; a paused
            candidate may be stopped later. `RESUME`: a paused candidate goes on. `COMPLETE`: it did its last step. `FAIL`: its
            evaluation failed.
        reason: The reason in words.
        seconds: Duration of the steps since the previous event, as far as this run did them.
        recorded: Time of the event, nanoseconds since 1970.
        metrics: The metrics that are objectives of the search.
    """

    order: int
    trial: int
    key: str
    architecture: str
    fidelity: int
    score: float
    action: RungAction
    reason: str = ""
    seconds: float = 0.0
    recorded: int = field(default_factory=time.time_ns)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_score(self) -> bool:
        """Whether the event is a decision after a score."""
        return math.isfinite(self.score)


class RungLog:
    """The events of one run, in small Parquet parts in the folder of the ledger, on any file system that it can be on.

    `append` buffers events for at most about a second; `write` writes them now.

    Args:
        ledger: Ledger of the run.
        run: Name of the run.

    Raises:
        LedgerError: The folder cannot be made.
    """

    def __init__(self, ledger: Ledger, run: str) -> None:
        check_kind("ledger", ledger, Ledger, "a Ledger")
        check_kind("run", run, str, "the name of a run")
        folder = f"{ledger.folder}/{_FOLDER}/{run}"
        self._files, self._folder = ledger.files, folder
        self._parts = PartFiles(ledger.files, folder, SCHEMA, optional=("score",))
        self._made = False
        self._unwritten: list[RungEvent] = []
        self._written: list[str] = []
        self._last = time.monotonic()

    def append(self, event: RungEvent) -> None:
        """Add an event; it is written with those of the same second.

        Raises:
            LedgerError: The part cannot be written; its events are tried again with the next ones.
        """
        self._unwritten.append(event)
        if time.monotonic() - self._last > _SECONDS_PER_PART:
            self.write()

    def write(self) -> None:
        """Write the events that are not written yet.

        Raises:
            LedgerError: The part cannot be written; its events are tried again with the next ones.
        """
        self._last = time.monotonic()
        if not self._unwritten:
            return
        if not self._made:
            self._make_folder()
        # After a power cut the newest may be missing: their candidates are decided on again, from their checkpoints.
        prefix = f"{self._unwritten[0].order:012d}~"
        self._written.append(self._parts.write(prefix, _table(self._unwritten), durable=False))
        self._unwritten = []
        if len(self._written) >= _MOST_PARTS:
            self._merge()

    def read(self) -> list[RungEvent]:
        """Return the events that are written, in their order; a corrupt part is set aside and logged.

        Raises:
            LedgerError: A part exists but cannot be read.
        """
        self._make_folder()
        rows = (row for table in self._parts.read_all() for row in table.to_pylist())
        events = (RungEvent(**{**row, "metrics": dict(row["metrics"])}) for row in rows)
        by_order: dict[int, RungEvent] = {}
        for event in sorted(events, key=lambda event: event.recorded):
            by_order.setdefault(event.order, event)
        return [by_order[order] for order in sorted(by_order)]

    def _merge(self) -> None:
        """Put the rows of the small parts into one, so that there are few files; a kill leaves rows twice, never none."""
        written, self._written = self._written, []
        tables = [table for table in self._parts.read(written) if table is not None]
        self._parts.write("merged~", pa.concat_tables(tables), level=1)
        self._parts.remove(written)

    def _make_folder(self) -> None:
        try:
            self._files.create_dir(self._folder, recursive=True)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot make {self._folder} ({first_line(error)}); choose a storage that can be written."
            ) from error
        self._made = True


def candidates_in_hand(events: Sequence[RungEvent]) -> dict[int, RungEvent]:
    """Return the last event of each candidate that has not ended, by its number, in the order in which they began."""
    last: dict[int, RungEvent] = {}
    for event in events:
        last[event.trial] = event
    return {trial: event for trial, event in last.items() if event.action not in ENDED}


def partial_outcomes(ledger: Ledger, run: str, *, ended: bool = True) -> list[Entry]:
    """Return the partial evaluations of a run that count, one for each key: where it was stopped, or else the one of most steps.

    Candidates whose evaluation is complete, or has failed, are left out: they are in `ledger.entries(run)`.

    Args:
        ledger: Ledger of the run.
        run: Name of the run.
        ended: Whether to leave out candidates that are in hand, which a resumed run goes on with.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    whole = {entry.evaluation.key for entry in ledger.entries(run)}
    events = RungLog(ledger, run).read()
    left_out = {event.key for event in candidates_in_hand(events).values()} if ended else set()
    reached = {event.key: event.fidelity for event in events if event.action == "STOP"}
    found: dict[str, Entry] = {}
    for entry in sorted(ledger.partial(run), key=lambda entry: entry.evaluation.fidelity or 0):
        key = entry.evaluation.key
        if key in whole or key in left_out or (entry.evaluation.fidelity or 0) > reached.get(key, math.inf):
            continue
        found[key] = entry
    return sorted(found.values(), key=lambda entry: entry.recorded)


def _table(events: Sequence[RungEvent]) -> pa.Table:
    rows: list[dict[str, Any]] = [{**asdict(event), "metrics": list(event.metrics.items())} for event in events]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
