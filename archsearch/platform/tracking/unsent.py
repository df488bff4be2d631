"""What an MLflow store did not take: kept in the folder of the run, and sent when the run is resumed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from archsearch.platform.tracking.curves import CURVES, Point
from archsearch.platform.tracking.run import MlflowRun

UNSENT = "mlflow-unsent.jsonl"

logger = logging.getLogger(__name__)


def write_unsent(directory: Path, run: MlflowRun, status: str, points: Iterable[Point], tasks: Iterable[str]) -> Path | None:
    """Write points and the names of tasks to `mlflow-unsent.jsonl`, and return its path; None where the disk refuses.

    Args:
        directory: Folder of the run.
        run: What they were for.
        status: What the run ended with.
        points: Points in order.
        tasks: What else was to be sent.
    """
    header = {"experiment": run.experiment, "run_name": run.run_name, "run_id": run.run_id, "status": status}
    lines: list[dict[str, Any]] = [{"kind": "run", **header, "tags": run.tags, "params": run.params}]
    lines += [{"kind": "metric", **asdict(point)} for point in points]
    lines += [{"kind": "task", "what": what} for what in tasks]
    path = directory / UNSENT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        logger.warning("what MLflow did not take could not be written to %s either (%s)", path, error.strerror)
        return None
    return path


def unsent_points(directory: Path) -> Sequence[Point]:
    """Return the points that an earlier session of the run could not send, less the curves, which a resumed search makes anew."""
    return [point for point in _points(directory / UNSENT) if point.key not in CURVES]


def _points(path: Path) -> Iterator[Point]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
            if record["kind"] == "metric":
                yield Point(str(record["key"]), float(record["value"]), int(record["step"]), int(record["timestamp"]))
        except (ValueError, KeyError, TypeError):
            continue  # a line that was cut off: what it held cannot be had any more


def forget_unsent(directory: Path) -> None:
    """Remove the file: all was sent."""
    (directory / UNSENT).unlink(missing_ok=True)
