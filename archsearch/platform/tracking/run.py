"""A run in an MLflow store, written by blocking calls from one thread."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.cluster.schedulers.replay import Curve
from archsearch.logger_levels import raised_level
from archsearch.platform.ranking import RankedRow
from archsearch.platform.tracking.curves import CURVES, LEARNING_CURVE, Point
from archsearch.platform.tracking.saved_view import VIEW_TAG
from archsearch.platform.tracking.store import check_contact, database_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# Limits of MLflow 3 (mlflow/utils/validation.py); half the number of entities keeps requests with long values below 1 MB.
_METRICS, _ENTITIES = 1000, 50
_PARAM_LENGTH, _TAG_LENGTH, _NAME_LENGTH = 6000, 8000, 250
_FINALISTS = 5
_FINALIST = "archsearch.finalist"
_MIGRATION_LOGGERS = ("mlflow.store.db.utils", "alembic", "alembic.runtime.migration")

logger = logging.getLogger(__name__)


class MlflowRun:
    """A run of an MLflow store, created or resumed at the first use.

    Args:
        tracking_uri: URI of the store.
        experiment: Name of the experiment; created if needed.
        run_name: Name of the run.
        tags: Tags by name; truncated to MLflow's limit.
        params: Parameters by name; truncated to MLflow's limit.
        run_id: Run to resume; if the store does not have it, a new one is created.
        curves: Metrics with many steps; steps that an earlier session of the run wrote are not written again.
    """

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        run_name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        run_id: str | None = None,
        curves: Sequence[str] = CURVES,
    ) -> None:
        self._curves = curves
        self.uri, self.experiment, self.run_name = tracking_uri, experiment, run_name
        self.tags = {valid_name(name): cut(value, _TAG_LENGTH) for name, value in tags.items()}
        self.params = {valid_name(name): cut(value, _PARAM_LENGTH) for name, value in params.items()}
        self.run_id: str | None = None
        self._resumes = run_id
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._logged: dict[str, int] = {}

    def connect(self) -> MlflowClient:
        """Return the client of the store, after creating or resuming the run there.

        Raises:
            OSError: The server cannot be reached.
            MlflowException: The store rejects the run.
        """
        check_contact(self.uri)
        if self._client is None:
            from mlflow import MlflowClient

            if (file := database_file(self.uri)) is not None:
                file.parent.mkdir(parents=True, exist_ok=True)

            # A new database logs dozens of lines on migrations.
            with raised_level(logging.WARNING, *_MIGRATION_LOGGERS):
                client = MlflowClient(tracking_uri=self.uri)
                self._experiment_id = _experiment_id(client, self.experiment, self.uri)
            self.run_id = self._resume(client) or self._create(client)
            self._client = client
        return self._client

    def log_points(self, points: Sequence[Point]) -> None:
        """Write at most 1,000 points in one call, except those that an earlier session of the run wrote."""
        from mlflow.entities import Metric

        fresh = [point for point in points if point.step > self._logged.get(point.key, -1)]
        if fresh:
            metrics = [Metric(valid_name(point.key), point.value, point.timestamp, point.step) for point in fresh[:_METRICS]]
            self.connect().log_batch(self._id, metrics=metrics)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing earlier values."""
        _log_tags(self.connect(), self._id, tags)

    def log_table(self, content: str, name: str) -> None:
        """Write a table artifact, replacing an earlier one of that name."""
        # MlflowClient.log_table would append to the table of an earlier session.
        self.connect().log_text(self._id, content, name)
        self.log_tags({"mlflow.loggedArtifacts": json.dumps([{"path": name, "type": "table"}])})

    def log_view(self, view: str, tag: str = VIEW_TAG) -> None:
        """Add a saved view of charts to the experiment, unless it has one of this tag, which a user may have changed."""
        client = self.connect()
        if tag not in client.get_experiment(self._experiment_id).tags:
            client.set_experiment_tag(self._experiment_id, tag, view)

    def log_artifacts(self, directory: Path) -> None:
        """Copy a folder into the run.

        Raises:
            FileNotFoundError: There is no such folder; MLflow itself would ignore that.
        """
        if not directory.is_dir():
            raise FileNotFoundError(f"no folder {directory}")
        self.connect().log_artifacts(self._id, str(directory))

    def log_finalists(self, rows: Sequence[RankedRow], curves: Mapping[str, Curve] | None = None) -> None:
        """Create a child run for each of the best five candidates; delete those of an earlier session that are not among them.

        Args:
            rows: The best candidates.
            curves: Learning curves by key; the metric `learning_curve/score` has the score after each step, by fidelity.
        """
        from mlflow.entities import Metric, Param

        client = self.connect()
        query = f"tags.`mlflow.parentRunId` = '{self._id}' AND tags.`{_FINALIST}` = 'true'"
        known = {run.info.run_name: run.info.run_id for run in client.search_runs([self._experiment_id], query)}
        for row in rows[:_FINALISTS]:
            name = f"top{row.rank:02d}-{row.key[:8]}"
            if known.pop(name, None):
                continue
            tags = {**_without_reserved(self.tags), "mlflow.parentRunId": self._id, _FINALIST: "true", "kind": "finalist"}
            child = client.create_run(self._experiment_id, tags=tags, run_name=name)
            start = child.info.start_time
            metrics = [Metric(key, value, start, 0) for key, value in _figures(row).items()]
            if curve := (curves or {}).get(row.key):
                course = zip(curve.steps, curve.scores, strict=True)
                metrics += [Metric(LEARNING_CURVE, score, start, step) for step, score in course][len(metrics) - _METRICS :]
            params = [Param("architecture", cut(row.architecture, _PARAM_LENGTH)), Param("key", row.key)]
            client.log_batch(child.info.run_id, metrics=metrics, params=params)
            client.update_run(child.info.run_id, status="FINISHED")
        for run_id in known.values():
            client.delete_run(run_id)

    def finish(self, status: str) -> None:
        """Set the final status of the run and its end time."""
        # With a server, MLflow prints the run's URL to standard output, which may be read by a program.
        with contextlib.redirect_stdout(sys.stderr) if self.uri.startswith("http") else contextlib.nullcontext():
            self.connect().set_terminated(self._id, status=status)

    @property
    def _id(self) -> str:
        if self.run_id is None:
            self.connect()
        assert self.run_id is not None
        return self.run_id

    def _create(self, client: MlflowClient) -> str:
        origin = {"resume_of": self._resumes} if self._resumes else {}
        tags = {"mlflow.source.name": "archsearch", **self.tags, **origin}
        run_id: str = client.create_run(self._experiment_id, tags=tags, run_name=self.run_name).info.run_id
        _log_params(client, run_id, self.params)
        return run_id

    def _resume(self, client: MlflowClient) -> str | None:
        """Set the run to resume to running and return its id; None if there is none."""
        run = _find(client, self._resumes) if self._resumes else None
        if run is None:
            return None
        run_id: str = run.info.run_id
        client.update_run(run_id, status="RUNNING")
        _log_tags(client, run_id, self.tags)
        old = run.data.params
        changed = sorted(name for name, value in self.params.items() if old.get(name, value) != value)
        if changed:
            logger.warning("MLflow keeps the first values of the changed parameters of %s: %s", self.run_name, ", ".join(changed))
        _log_params(client, run_id, {name: value for name, value in self.params.items() if name not in old})
        for key in self._curves:
            self._logged[key] = max((metric.step for metric in client.get_metric_history(run_id, key)), default=-1)
        return run_id


def valid_name(name: str) -> str:
    """Return a name with all characters but letters, digits and `_-. :/` replaced, at most 250 characters, as MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:_NAME_LENGTH] or "_"


def cut(value: Any, length: int) -> str:
    """Return a value as a string of at most `length` characters."""
    string = str(value)
    return string if len(string) <= length else string[: length - 3] + "..."


def _experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            # Without this tag the UI opens on pages for language-model applications.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            return str(client.create_experiment(name, _artifact_location(uri, name), tags))
        except MlflowException:
            # Another search of the same task may have created it in between.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _artifact_location(uri: str, experiment: str) -> str | None:
    """Return an artifact folder beside a local database (MLflow's default is the current folder); None for other stores."""
    file = database_file(uri)
    if file is None:
        return None
    folder = re.sub(r"[^A-Za-z0-9._-]+", "-", experiment)
    return (file.parent / "mlartifacts" / folder).as_uri()


def _find(client: MlflowClient, run_id: str) -> Run | None:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        run = None
    if run is None or run.info.lifecycle_stage == "deleted":
        logger.warning("the MLflow run %s no longer exists; it is logged to a new run", run_id)
        return None
    return run


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    entries = [Param(name, value) for name, value in params.items()]
    for start in range(0, len(entries), _ENTITIES):
        client.log_batch(run_id, params=entries[start : start + _ENTITIES])


def _log_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    entries = [RunTag(valid_name(name), cut(value, _TAG_LENGTH)) for name, value in tags.items()]
    for start in range(0, len(entries), _ENTITIES):
        client.log_batch(run_id, tags=entries[start : start + _ENTITIES])


def _without_reserved(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if not name.startswith("mlflow.")}


def _figures(row: RankedRow) -> dict[str, float]:
    named = {
        "rank": float(row.rank),
        "best_score": row.score,
        "best_test_accuracy": row.test_accuracy,
        "best_params": row.params,
        "best_macs": row.macs,
        "seconds": row.seconds,
        "fidelity": None if row.fidelity is None else float(row.fidelity),
    }
    return {name: value for name, value in named.items() if value is not None}
