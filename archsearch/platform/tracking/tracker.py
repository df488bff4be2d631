"""MLflow tracker of a search: writes from a background thread and never blocks or fails the search."""

from __future__ import annotations

import logging
import math
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archsearch.cluster.schedulers.replay import Curve
from archsearch.errors import first_line
from archsearch.platform.ranking import RankedRow, ranked_rows
from archsearch.platform.summary import SearchSummary, flat
from archsearch.platform.tracking.curves import (
    ANYTIME_UNIT,
    EXITS_ACCURACY,
    Point,
    SearchCurve,
    anytime_curve,
    anytime_points,
    budget_points,
    milliseconds_now,
    rung_points,
)
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.run_summary import ending_tags, final_metrics, note, split_table
from archsearch.platform.tracking.saved_view import study_tag, view_of
from archsearch.platform.tracking.store import shown_uri, tracking_uri
from archsearch.platform.tracking.system_metrics import SystemMonitor
from archsearch.platform.tracking.unsent import forget_unsent, unsent_points, write_unsent
from archsearch.searchers import Observation

_BATCH = 1000
_SLOW_SECONDS = 30.0

logger = logging.getLogger(__name__)

Task = tuple[str, Callable[[MlflowRun], None]]


class Tracker:
    """Writes one search to one MLflow run, in batches, from a background thread.

    An error, an unreachable server, or one that needs more than 30 seconds for an answer is reported once. Data that could not
    be sent is retried every few seconds and at the end, and finally written to `mlflow-unsent.jsonl`, from which the tracker of
    `archsearch resume` sends it.

    Args:
        uri: URI of the store, as `store.tracking_uri` returns it; None takes that of `auto`.
        experiment: Name of the experiment; created if needed.
        run_name: Name of the run.
        tags: Tags of the run, each truncated to 8,000 characters.
        params: Settings, nested ones with dotted names, each truncated to 6,000 characters.
        run_id: Run to resume; None creates a new one.
        directory: Folder of `mlflow-unsent.jsonl`; None takes the current folder.
        command: Command, or line of Python, that resumes the search; None takes `archsearch resume` with the directory.
        gpus_per_worker: GPUs that an evaluation occupies.
        system_metrics: Whether to log the load of this machine; see `SystemMonitor`.
        interval: Seconds between two writes.
        on_run: Called with the run's id, in the tracker's thread, once the run exists.
        patience: Longest time that `start` and `finish` wait for the store, seconds.

    Example:
        >>> tracker = Tracker(None, "nasbench201/digits", "evolution-s0", {"seed": 0}, {"num_candidates": 500})
        >>> tracker.start()
        >>> tracker.record(observations)
        >>> tracker.finish("FINISHED", summary)
    """

    def __init__(
        self,
        uri: str | None,
        experiment: str,
        run_name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        run_id: str | None = None,
        *,
        directory: Path | None = None,
        command: str | None = None,
        gpus_per_worker: float = 0.0,
        system_metrics: bool = False,
        interval: float = 5.0,
        on_run: Callable[[str], None] | None = None,
        patience: float = 60.0,
    ) -> None:
        uri = uri or tracking_uri("auto")
        self._run = MlflowRun(uri, experiment, run_name, tags, dict(flat(params)), run_id)
        self._directory, self._on_run = directory or Path.cwd(), on_run
        self._command = command or f"archsearch resume {shlex.quote(str(self._directory))}"
        self._gpus_per_worker, self._interval, self._patience = gpus_per_worker, interval, patience
        self._system = SystemMonitor(uri) if system_metrics else None
        self._curve = SearchCurve()
        self._points: list[Point] = list(unsent_points(self._directory))
        self._report: Path | None = None
        self._tasks: list[Task] = []
        self._lock = threading.Lock()
        self._first_try, self._closing, self._given_up = threading.Event(), threading.Event(), threading.Event()
        self._wake = threading.Event()
        self._warned = False
        self._call_began: float | None = None
        self._thread = threading.Thread(target=self._work, name="archsearch-tracker", daemon=True)

    @property
    def run_id(self) -> str | None:
        """Id of the run; waits for the first contact with the store, and is None if that failed."""
        if self._thread.is_alive():
            self._first_try.wait(self._patience)
        return self._run.run_id

    def start(self, wait: bool = True) -> str | None:
        """Create or resume the run and return its id; None if the store cannot be reached yet.

        Args:
            wait: Whether to wait for the store. Creating a database takes seconds; with False, None is returned at once and
                `run_id` has the id later.
        """
        self._thread.start()
        return self.run_id if wait else None

    def record(self, observations: Sequence[Observation]) -> None:
        """Add the next outcomes, in order of arrival; their points are sent within seconds.

        A resumed search records its earlier outcomes again; points that the run already has are not sent twice.
        """
        with self._lock:
            self._points += self._curve.extend(observations, milliseconds_now())
        began = self._call_began
        if began is not None and time.monotonic() - began > _SLOW_SECONDS:
            # MLflow retries a call for minutes before it raises an error.
            self._warn(f"no answer for {_SLOW_SECONDS:.0f} seconds")

    def record_values(self, values: Mapping[str, float]) -> None:
        """Add further metrics, such as a surrogate's rank correlation, at the current number of candidates."""
        finite = {key: value for key, value in values.items() if math.isfinite(value)}
        with self._lock:
            self._points += [Point(key, value, self._curve.count, milliseconds_now()) for key, value in finite.items()]

    def log_artifacts(self, directory: Path) -> None:
        """Log the folder of the report as artifacts of the run."""
        self._report = directory
        self._add(f"files of {directory}", lambda run: run.log_artifacts(directory))

    def log_finalists(self, rows: Sequence[RankedRow], curves: Mapping[str, Curve] | None = None) -> None:
        """Create a child run for each of the best five candidates, with its learning curve if that is known."""
        self._add("child runs of the best candidates", lambda run: run.log_finalists(rows, curves or {}))

    def finish(self, status: str = "FINISHED", summary: SearchSummary | None = None, top: int = 10) -> Path | None:
        """Send the remaining data, set the status of the run, and wait for both, at most `patience` seconds.

        Args:
            status: `FINISHED`, `KILLED` or `FAILED`.
            summary: The search; its metrics, a note and the ranking are sent. The anytime curve is sent only with `FINISHED`,
                since a resumed search would draw a second one over it.
            top: Number of rows of the ranking.

        Returns:
            The file with the data that could not be sent, or None.
        """
        with self._lock:
            if status == "FINISHED" and (summary is None or self._curve.count == summary.num_candidates):
                # The last point of a stopped search would be at a step that other runs do not have.
                self._points += self._curve.end(milliseconds_now())
            if summary is not None:
                self._points += self._final_points(summary, status)
        if summary is not None:
            rows = ranked_rows(summary.evaluations, top)
            tags = {"mlflow.note.content": note(summary), "anytime.unit": ANYTIME_UNIT, **ending_tags(summary)}
            self._add("note", lambda run: run.log_tags(tags))
            if status == "FINISHED":
                view = view_of(summary, milliseconds_now())
                self._add("saved view", lambda run: run.log_view(view))
                if study := summary.settings.get("study"):
                    own, tag = view_of(summary, milliseconds_now(), study), study_tag(study)
                    self._add("saved view of the study", lambda run: run.log_view(own, tag))
            self._add("ranking", lambda run: run.log_table(split_table(rows, self._report), "top.json"))
        if (system := self._system) is not None:
            self._add("system metrics", lambda run: system.stop())
        self._add(f"status {status}", lambda run: run.finish(status))
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._patience)
        self._given_up.set()
        return self._write_unsent(status)

    def _final_points(self, summary: SearchSummary, status: str) -> list[Point]:
        metrics = final_metrics(summary, self._gpus_per_worker)
        points = [Point(key, value, len(summary.evaluations), milliseconds_now()) for key, value in metrics.items()]
        if status == "FINISHED" and summary.early_stopping is not None:
            points += rung_points(summary.early_stopping, milliseconds_now())
        curve = anytime_curve(summary) if status == "FINISHED" else None
        if curve is None:
            return points
        points += [*anytime_points(curve, milliseconds_now()), *budget_points(milliseconds_now())]
        return points + (anytime_points(summary.exits, milliseconds_now(), EXITS_ACCURACY) if summary.exits else [])

    def _add(self, what: str, call: Callable[[MlflowRun], None]) -> None:
        with self._lock:
            self._tasks.append((what, call))
        self._wake.set()  # tasks are sent at once, while the search goes on

    def _work(self) -> None:
        self._send()
        self._first_try.set()
        while not self._closing.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            self._send()
        self._send()

    def _send(self) -> None:
        """Send points and tasks in order; what fails stays for the next time."""
        if not self._tried(self._connect):
            return
        while self._points and not self._given_up.is_set():
            batch = self._points[:_BATCH]
            if not self._tried(self._run.log_points, batch):
                break
            with self._lock:
                del self._points[: len(batch)]
        for task in list(self._tasks):
            if not self._given_up.is_set() and self._tried(task[1], self._run):
                with self._lock:
                    self._tasks.remove(task)

    def _connect(self) -> None:
        self._run.connect()
        if self._on_run is not None and self._run.run_id is not None:
            self._on_run(self._run.run_id)
            self._on_run = None
        if self._system is not None and self._run.run_id is not None and not self._closing.is_set():
            self._system.keep_running(self._run.run_id)

    def _tried(self, call: Callable[..., object], *arguments: object) -> bool:
        """Return whether a call succeeded; the first failure is reported."""
        self._call_began = time.monotonic()
        try:
            call(*arguments)
        except Exception as error:  # no error of the store may stop the search
            self._warn(first_line(error)[:300])
            return False
        finally:
            self._call_began = None
        return True

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            store = shown_uri(self._run.uri)
            logger.warning(
                "cannot log to MLflow at %s (%s); the search goes on, and its metrics are kept to be sent later", store, reason
            )

    def _write_unsent(self, status: str) -> Path | None:
        with self._lock:
            points, tasks = list(self._points), [what for what, _ in self._tasks]
        if not points and not tasks:
            forget_unsent(self._directory)
            return None
        path = write_unsent(self._directory, self._run, status, points, tasks)
        if path is not None:
            where = shown_uri(self._run.uri)
            logger.warning(
                "some data could not be sent to MLflow at %s; it is in %s; send it with: %s", where, path, self._command
            )
        return path
