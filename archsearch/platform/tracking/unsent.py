"""Metrics that could not be sent to MLflow: kept in the run's folder and sent when the run is resumed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archsearch.atomic_file import written_atomically
from archsearch.platform.tracking.curves import CURVES, Point
from archsearch.platform.tracking.run import MlflowRun

UNSENT = "mlflow-unsent.jsonl"

logger = logging.getLogger(__name__)


def write_unsent(directory: Path, run: MlflowRun, status: str, points: Iterable[Point], tasks: Iterable[str]) -> Path | None:
    """Write points and the names of tasks to `mlflow-unsent.jsonl`, and return its path; None if it cannot be written.

    Args:
        directory: Folder of the run.
        run: The MLflow run that they belong to.
        status: Final status of the run.
        points: Points in order.
        tasks: Names of everything else that was to be sent.
    """
    header = {"experiment": run.experiment, "run_name": run.run_name, "run_id": run.run_id, "status": status}
    lines: list[dict[str, Any]] = [{"kind": "run", **header, "tags": run.tags, "params": run.params}]
    lines += [{"kind": "metric", **asdict(point)} for point in points]
    lines += [{"kind": "task", "what": what} for what in tasks]
    path = directory / UNSENT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_atomically(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        logger.warning("the metrics that could not be sent to MLflow cannot be written to %s either (%s)", path, error.strerror)
        return None
    return path


def unsent_points(directory: Path) -> Sequence[Point]:
    """Return the points that an earlier session could not send, except curves, which a resumed search records again."""
    return [point for point in _points(directory / UNSENT) if point.key not in CURVES]


def _points(path: Path) -> Iterator[Point]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
            if record["kind"] == "metric":
                yield Point(str(record["key"]), float(record["value"]), int(record["step"]), int(record["timestamp"]))
        except (ValueError, KeyError, TypeError):
            continue  # a truncated line


def forget_unsent(directory: Path) -> None:
    """Delete the file, after everything was sent."""
    (directory / UNSENT).unlink(missing_ok=True)
