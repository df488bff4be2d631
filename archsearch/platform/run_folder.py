"""The folder of a run: its settings, and what it took from the ledger."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from archsearch.cluster import Ledger
from archsearch.errors import RunError, did_you_mean
from archsearch.evaluators import Evaluation
from archsearch.platform.configuration import SearchConfiguration, from_mapping, read_yaml, write_yaml
from archsearch.searchers import Observation

LEDGER = "ledger"
_SETTINGS, _REUSED, _TRACKING = "run.yaml", "reused.jsonl", "mlflow-run-id.txt"


class RunFolder:
    """`STORAGE/NAME`: `run.yaml`, `reused.jsonl`, Tune's own files in `tune/` and the report in `report/`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, configuration: SearchConfiguration, name: str) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            RunError: It exists already, or cannot be made.
        """
        path = Path(configuration.storage).expanduser() / name
        if path.exists():
            raise RunError(
                f"name: the run folder {path} exists already; choose another name, or continue it with: archsearch resume {path}"
            )
        try:
            path.mkdir(parents=True)
            write_yaml(configuration, path / _SETTINGS)
        except OSError as error:
            raise RunError(
                f"storage: cannot make the run folder {path} ({error.strerror}); choose a folder that can be written."
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the folder of an earlier run.

        Raises:
            RunError: There is none.
        """
        if not (path / _SETTINGS).is_file():
            siblings = sorted(entry.parent.name for entry in path.parent.glob(f"*/{_SETTINGS}")) if path.parent.is_dir() else []
            hint = did_you_mean(path.name, siblings) or (f" Runs there: {', '.join(siblings[-5:])}." if siblings else "")
            raise RunError(f"run: there is no run in {path} (no {_SETTINGS}).{hint}")
        return cls(path)

    def configuration(self) -> SearchConfiguration:
        """Return the settings that the run was started with."""
        path = self.path / _SETTINGS
        return from_mapping(read_yaml(path), origin=str(path))

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

    def note_reused(self, observations: Sequence[Observation]) -> None:
        """Record candidates that were answered from the ledger, so that a resumed run counts them too."""
        reused = [observation for observation in observations if observation.reused]
        if reused:
            with (self.path / _REUSED).open("a") as file:
                for observation in reused:
                    row = [time.time_ns(), observation.batch, observation.position, observation.evaluation.key]
                    file.write(json.dumps(row) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def outcomes(self, ledger: Ledger, known: dict[str, Evaluation]) -> list[Observation]:
        """Return the outcomes of the run so far, paid and reused, in the order in which they were recorded."""
        rows = [
            (entry.recorded, Observation(entry.batch, entry.position, entry.evaluation, False))
            for entry in ledger.entries(self.name)
        ]
        path = self.path / _REUSED
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                recorded, batch, position, key = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed while it wrote
            if key in known:
                rows.append((recorded, Observation(batch, position, known[key], True)))
        unique: dict[str, Observation] = {}
        for _, observation in sorted(rows, key=_when):
            unique.setdefault(observation.evaluation.key, observation)
        return list(unique.values())

    @property
    def tracking_id(self) -> str | None:
        """Id of the run in MLflow, if it has one."""
        path = self.path / _TRACKING
        return path.read_text().strip() or None if path.exists() else None

    @tracking_id.setter
    def tracking_id(self, run_id: str) -> None:
        (self.path / _TRACKING).write_text(run_id)


def _when(row: tuple[int, Observation]) -> tuple[int, int, int]:
    return (row[0], row[1].batch, row[1].position)


def run_name(searcher: str, space: str, task: str, seed: int) -> str:
    """Return a name that says what was searched, and when."""
    stem = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-") for part in (searcher, space, task[-40:]))
    return f"{stem}-s{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
