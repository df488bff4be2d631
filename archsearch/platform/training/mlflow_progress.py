"""The progress of a final training in MLflow: losses, images a second and the share of the time spent waiting for images."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from archsearch.errors import first_line
from archsearch.evaluators.training.loop import Throughput
from archsearch.platform.tracking.curves import Point, milliseconds_now
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.store import shown_uri
from archsearch.platform.tracking.training_run import TRAINING_CURVES
from archsearch.platform.training.final_training import Progress

_BATCH = 1000

logger = logging.getLogger(__name__)


class MlflowProgress:
    """Passes the progress of a training on, and writes it to MLflow from a thread of its own, which never blocks the training.

    Metrics have the number of images trained on as their step: `training/images_per_second` and `training/waiting_for_images`,
    a fraction of the time, every few seconds; `training/epoch`, `training/loss` and `training/validation`, the usual figure of
    the task on the validation images, after each epoch. An error of the store is reported once; what could not be sent is tried
    again.

    Args:
        shown: Receives the progress too.
        uri: Tracking URI of the store, for messages.
        make_run: Makes the run, in the thread.
        images: Number of training images.
        on_run: Called with the run's id, in the thread, once the run exists.
        interval: Least seconds between two points within an epoch.
        patience: Longest time that the end waits for the store, seconds.

    Example:
        >>> with MlflowProgress(EpochProgress(10, sys.stderr), uri, lambda: training_run(...), 50_000) as progress:
        ...     network, figures = training.run(parts, progress)
        ...     progress.measured(figures)
    """

    def __init__(
        self,
        shown: Progress,
        uri: str,
        make_run: Callable[[], MlflowRun],
        images: int,
        on_run: Callable[[str], None] | None = None,
        interval: float = 10.0,
        patience: float = 60.0,
    ) -> None:
        self._shown, self._uri, self._make_run, self._images = shown, uri, make_run, images
        self._on_run, self._interval, self._patience = on_run, interval, patience
        self._points: list[Point] = []
        self._run: MlflowRun | None = None
        self._status, self._warned = "", False
        self._last = time.monotonic()
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="archsearch-mlflow-progress", daemon=True)

    def __enter__(self) -> MlflowProgress:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        self._status = "FINISHED" if kind is None else "KILLED" if stopped else "FAILED"
        self._wake.set()
        self._thread.join(self._patience)
        if self._points or self._thread.is_alive():
            logger.warning(
                "%d figures of the training could not be sent to MLflow at %s", len(self._points), shown_uri(self._uri)
            )

    def begin(self, done: float) -> None:
        """Begin, after `done` epochs of earlier calls."""
        self._shown.begin(done)

    def move(self, done: float, throughput: Throughput) -> None:
        """Take note of a part of an epoch; see `EpochProgress.move`."""
        self._shown.move(done, throughput)
        if time.monotonic() - self._last >= self._interval:
            self._add(done, _speed(throughput))

    def show(self, epoch: int, loss: float, accuracy: float | None, throughput: Throughput | None = None) -> None:
        """Take note of an epoch; see `EpochProgress.show`."""
        self._shown.show(epoch, loss, accuracy, throughput)
        figures = {"training/epoch": float(epoch), "training/loss": loss, **_speed(throughput)}
        self._add(epoch, figures if accuracy is None else {**figures, "training/validation": accuracy})

    def end(self) -> None:
        """End the epochs."""
        self._shown.end()

    def measured(self, metrics: Mapping[str, float]) -> None:
        """Add the figures of the trained network, such as `test_accuracy`."""
        self._add(0.0, metrics)

    def _add(self, done: float, values: Mapping[str, float]) -> None:
        self._last, step = time.monotonic(), round(done * self._images)
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        with self._lock:
            self._points += [Point(name, value, step, milliseconds_now()) for name, value in finite.items()]

    def _work(self) -> None:
        while not self._status:
            self._send()
            self._wake.wait(self._interval)
            self._wake.clear()
        if self._send() and self._run is not None:
            self._tried(self._run.finish, self._status)

    def _send(self) -> bool:
        """Return whether all points were sent."""
        if self._run is None and not self._tried(self._connect):
            return False
        while self._points:
            batch = self._points[:_BATCH]
            if self._run is None or not self._tried(self._run.log_points, batch):
                return False
            with self._lock:
                del self._points[: len(batch)]
        return True

    def _connect(self) -> None:
        run = self._make_run()
        run.connect()
        self._run = run
        if self._on_run is not None and run.run_id is not None:
            self._on_run(run.run_id)

    def _tried(self, call: Callable[..., object], *arguments: object) -> bool:
        """Return whether a call succeeded; the first failure is reported."""
        try:
            call(*arguments)
        except Exception as error:  # no error of the store may stop the training
            if not self._warned:
                self._warned = True
                reason = first_line(error)[:300]
                logger.warning("cannot log to MLflow at %s (%s); the training goes on", shown_uri(self._uri), reason)
            return False
        return True


def _speed(throughput: Throughput | None) -> dict[str, float]:
    if throughput is None or not throughput.images:
        return {}
    return dict(zip(TRAINING_CURVES, (throughput.per_second, throughput.waiting), strict=False))
