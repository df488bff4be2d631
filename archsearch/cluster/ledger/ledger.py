"""The ledger: a persistent record of evaluations, shared by all runs of an evaluator."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from archsearch.cluster.ledger.compaction import MOST_PARTS, compact, merge
from archsearch.cluster.ledger.part_files import PartFiles
from archsearch.cluster.ledger.records import SCHEMA, Entry, Records, in_order
from archsearch.cluster.storage import open_folder
from archsearch.errors import LedgerError, check_kind, first_line
from archsearch.evaluators.evaluation import Evaluation
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)


class Ledger:
    """The evaluations of one evaluator, in a folder of a file system that pyarrow knows.

    An evaluation is identified by space, canonical key, evaluator fingerprint, fidelity and seed. It is written as a row of a
    small Parquet part. Parts are written atomically and never changed. A corrupt part is renamed to `*.damaged` and logged; the
    others stay readable. Small parts are merged into larger ones: those that this object wrote, whenever there are
    `compaction.MOST_PARTS` of them, and those of others by `compact`.

    Args:
        root: Folder of all ledgers: a local path, or a URI such as `s3://bucket/folder`.
        space: Space of the architectures.
        evaluator: Fingerprint of the evaluator.
        fidelity: Name of the amount of training in an evaluation.
        seed: Seed of the evaluator.
        filesystem: File system in which `root` is a path; None takes the local one, or that of the URI.

    Raises:
        LedgerError: The folder cannot be created.
    """

    def __init__(
        self,
        root: str | Path,
        space: SearchSpace,
        evaluator: str,
        fidelity: str = "full",
        seed: int = 0,
        filesystem: pafs.FileSystem | None = None,
    ) -> None:
        check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
        check_kind("evaluator", evaluator, str, "the fingerprint of an evaluator, evaluator.fingerprint()")
        check_kind("root", root, (str, Path), "the path of a folder, or a URI")
        self.space, self.evaluator, self.fidelity, self.seed = space, evaluator, fidelity, seed
        self.root = str(root)
        self._written: list[str] = []
        try:
            self.files, base = (filesystem, self.root.rstrip("/")) if filesystem else open_folder(self.root)
            self.folder = f"{base}/{space.name}/{evaluator}"
            self.files.create_dir(self.folder, recursive=True)
        except (OSError, pa.ArrowException) as error:
            raise LedgerError(
                f"storage: cannot make the ledger in {self.root} ({first_line(error)}); choose a folder that can be written."
            ) from error
        self._parts = PartFiles(self.files, self.folder, SCHEMA)

    def append(self, run: str, batch: int, evaluations: Sequence[tuple[int, Evaluation]]) -> None:
        """Write evaluations of one batch, each with its position in the batch, as a new part.

        A partial evaluation has the number of its steps as the fidelity; only `partial` returns it.

        A metric that is no number makes its evaluation a failed one, whose error names the metric.

        Raises:
            LedgerError: The part cannot be written; no incomplete part is left.
        """
        if not evaluations:
            return
        try:
            table = self._table(run, batch, evaluations)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            # A metric was added after the evaluation was made; checked again, it becomes a failure that names the metric.
            table = self._table(run, batch, [(position, replace(evaluation)) for position, evaluation in evaluations])
        self._written.append(self._parts.write(f"{_prefix(run, batch)}{time.time_ns():020d}~", table))
        if len(self._written) >= MOST_PARTS:
            self._merge_written()

    def read(self, run: str | None = None, batch: int | None = None) -> Records:
        """Return the records of all runs, of one run, or of one of its batches.

        Raises:
            LedgerError: The folder or a part cannot be read.
        """
        table = self._rows(run, batch)
        mine = pc.and_(pc.equal(table["fidelity"], self.fidelity), pc.equal(table["seed"], self.seed))
        records = Records(self.space, in_order(table if pc.all(mine).as_py() else table.filter(mine)))
        return records if run is None else records.of(run, batch)

    def partial(self, run: str | None = None, batch: int | None = None) -> list[Entry]:
        """Return the partial evaluations, of all runs, of one run, or of one of its batches, in the order of recording.

        A key has one entry for each fidelity: the first that was recorded.

        Raises:
            LedgerError: The folder or a part cannot be read.
        """
        table = self._rows(run, batch)
        steps = pc.and_(pc.match_substring_regex(table["fidelity"], "^[0-9]+$"), pc.equal(table["seed"], self.seed))
        table = in_order(table.filter(steps))
        if run is not None:
            table = Records(self.space, table).of(run, batch).table
        found: dict[tuple[str, int], Entry] = {}
        for fidelity in dict.fromkeys(table["fidelity"].to_pylist()):
            some = Records(self.space, table.filter(pc.equal(table["fidelity"], fidelity)))
            for entry in some.entries():
                evaluation = replace(entry.evaluation, fidelity=int(fidelity))
                found[evaluation.key, int(fidelity)] = replace(entry, evaluation=evaluation)
        return sorted(found.values(), key=lambda entry: entry.recorded)

    def _rows(self, run: str | None, batch: int | None) -> pa.Table:
        tables = self._parts.read_all("" if run is None else _prefix(run, batch))
        return pa.concat_tables([SCHEMA.empty_table(), *tables])

    def entries(self, run: str | None = None, batch: int | None = None) -> list[Entry]:
        """Return one entry per key, of all runs, of one run, or of one of its batches, in the order of recording.

        Of several records of a key the first success counts, or else the first failure.

        Raises:
            LedgerError: The folder or a part cannot be read.
        """
        return self.read(run, batch).entries()

    def compact(self, most: int = MOST_PARTS) -> int:
        """Merge small parts into larger ones where there are more than `most`; return how many parts were merged.

        It is safe beside readers, writers and other compactions, and may be killed at any moment.

        Raises:
            LedgerError: The folder cannot be read or written.
        """
        return compact(self._parts, most)

    def _merge_written(self) -> None:
        written, self._written = self._written, []
        try:
            merge(self._parts, written, level=1)
        except LedgerError as error:  # the evaluations themselves are recorded
            logger.warning("the parts of the ledger stay small: %s", error)

    def _table(self, run: str, batch: int, evaluations: Sequence[tuple[int, Evaluation]]) -> pa.Table:
        rows = [self._row(run, batch, position, evaluation) for position, evaluation in evaluations]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    def _row(self, run: str, batch: int, position: int, evaluation: Evaluation) -> dict[str, object]:
        return {
            "space": self.space.name,
            "key": evaluation.key,
            "evaluator": self.evaluator,
            "fidelity": self.fidelity if evaluation.fidelity is None else str(evaluation.fidelity),
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


def _prefix(run: str, batch: int | None) -> str:
    return f"{run}~" if batch is None else f"{run}~{batch:06d}~"
