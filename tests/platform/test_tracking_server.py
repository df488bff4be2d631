"""A search's tracker and a real MLflow server that dies, comes back, or loses the experiment."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.platform.tracking import store as store_module
from archsearch.platform.tracking.model_registry import register_model
from archsearch.platform.tracking.tracker import Tracker
from archsearch.platform.training.retraining import retrain
from archsearch.searchers import Observation

pytestmark = pytest.mark.long
SPACE = spaces.get("nasbench201")
ARCHITECTURE = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")

_LOAD = """
import sys
import numpy
from mlflow import pyfunc
numpy.save("answers.npy", pyfunc.load_model(sys.argv[1]).predict(numpy.load("images.npy")))
"""


def outcomes(scores: list[float]) -> list[Observation]:
    return [Observation(at, 0, Evaluation(ARCHITECTURE, "key", score, {}, 2.0, None), False) for at, score in enumerate(scores)]


class Server:
    """`mlflow server` on one port, over one database."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.store = f"sqlite:///{shutil.copy(store, folder)}"
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--backend-store-uri", self.store, "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", *where, "--artifacts-destination", str(self.folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        until(self.answers)

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def until(done: Callable[[], bool]) -> None:
    """Wait for something that another process does; the test's own limit ends what never comes."""
    while not done():
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # MLflow would repeat a call that lost its server for four minutes.
    for name, value in (("TIMEOUT", "10"), ("MAX_RETRIES", "2"), ("BACKOFF_FACTOR", "1")):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    made = Server(tmp_path, mlflow_store)
    made.start()
    yield made
    made.kill()


def history(uri: str, run_id: str | None) -> dict[int, float]:
    points = MlflowClient(uri).get_metric_history(str(run_id), "search/best_score")
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in points}


@pytest.mark.parametrize("how", ["killed", "hanging"])
def test_a_server_that_stops_answering_in_mid_search(
    server: Server, tmp_path: Path, caplog: Any, make_summary: Any, how: str
) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("the report")
    tracker = Tracker(server.uri, "server", "run", {}, {}, directory=tmp_path, interval=0.2, patience=200)
    run_id = tracker.start()
    tracker.record(outcomes([0.1]))
    until(lambda: len(history(server.store, run_id)) == 1)
    server.kill() if how == "killed" else server.signal(signal.SIGSTOP)
    started = time.monotonic()
    tracker.record(outcomes([0.2, 0.3]))
    assert time.monotonic() - started < store_module._CONTACT_SECONDS  # the search does not wait
    until(lambda: "cannot log to MLflow" in caplog.text)
    assert history(server.store, run_id) == {1: 0.1}
    server.start() if how == "killed" else server.signal(signal.SIGCONT)
    tracker.log_artifacts(tmp_path / "report")
    assert tracker.finish("FINISHED", make_summary([0.1, 0.2, 0.3])) is None
    assert history(server.store, run_id) == {1: 0.1, 2: 0.2, 3: 0.3}
    client = MlflowClient(server.uri)
    assert client.get_run(str(run_id)).info.status == "FINISHED"
    assert {item.path for item in client.list_artifacts(str(run_id))} == {"report.html", "top.json"}


def test_a_server_that_stays_away_costs_nothing(server: Server, tmp_path: Path, caplog: Any) -> None:
    first = Tracker(server.uri, "server", "run", {}, {}, directory=tmp_path, interval=0.2)
    run_id = first.start()
    first.record(outcomes([0.1]))
    until(lambda: len(history(server.store, run_id)) == 1)
    server.kill()
    first.record(outcomes([0.2, 0.3]))
    first.record_values({"surrogate/trust_tau": 0.4})
    path = first.finish()
    assert path is not None and str(path) in caplog.text
    server.start()
    second = Tracker(server.uri, "server", "run", {}, {}, run_id, directory=tmp_path)
    assert second.start() == run_id
    second.record(outcomes([0.1, 0.2, 0.3]))
    assert second.finish() is None
    assert history(server.uri, run_id) == {1: 0.1, 2: 0.2, 3: 0.3}
    run = MlflowClient(server.uri).get_run(str(run_id))
    assert (run.info.status, run.data.metrics["surrogate/trust_tau"], path.exists()) == ("FINISHED", 0.4, False)


def test_an_experiment_deleted_in_the_browser_in_mid_search(server: Server, tmp_path: Path, caplog: Any) -> None:
    tracker = Tracker(server.uri, "server", "run", {}, {}, directory=tmp_path, interval=0.2)
    run_id = tracker.start()
    tracker.record(outcomes([0.1]))
    until(lambda: len(history(server.store, run_id)) == 1)
    client = MlflowClient(server.uri)
    experiment = client.get_run(str(run_id)).info.experiment_id
    client.delete_experiment(experiment)
    tracker.record(outcomes([0.2]))
    until(lambda: "cannot log to MLflow" in caplog.text)
    client.restore_experiment(experiment)
    assert tracker.finish() is None
    assert history(server.uri, run_id) == {1: 0.1, 2: 0.2}


def test_a_model_is_registered_with_a_server_and_loaded_from_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
    space, scale = SPACE, {"channels": 4, "cells_per_stage": 1}
    model = retrain(space, ARCHITECTURE, "digits", scale=scale, device="cpu", epochs=1, progress=False)
    registered = register_model(model, "digits", server.uri)
    images = np.random.default_rng(0).standard_normal((2, 1, 8, 8), dtype=np.float32)
    np.save(tmp_path / "images.npy", images)
    elsewhere = {**os.environ, "MLFLOW_TRACKING_URI": server.uri}
    subprocess.run([sys.executable, "-c", _LOAD, registered.uri], cwd=tmp_path, env=elsewhere, check=True, capture_output=True)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(images))
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), expected, atol=1e-5)
