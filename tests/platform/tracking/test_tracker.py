from __future__ import annotations

import json
import logging
import math
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from archsearch import spaces
from archsearch.evaluators import AnytimeCurve, Evaluation
from archsearch.platform.ending import Ending
from archsearch.platform.ranking import ranked_rows
from archsearch.platform.tracking import store as store_module
from archsearch.platform.tracking.curves import ANYTIME_STEPS
from archsearch.platform.tracking.tracker import Tracker
from archsearch.searchers import Observation

NAN = float("nan")
UNREACHABLE = "http://127.0.0.1:9"
ARCHITECTURE = spaces.get("nasbench201").parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def outcomes(scores: list[float], reused: bool = False, seconds: float = 2.0) -> list[Observation]:
    evaluations = (Evaluation(ARCHITECTURE, "key", score, {}, seconds, "lost" if score != score else None) for score in scores)
    return [Observation(number, 0, evaluation, reused) for number, evaluation in enumerate(evaluations)]


@pytest.fixture(scope="module")
def store(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copy(mlflow_store, tmp_path_factory.mktemp("store")))


@pytest.fixture
def uri(store: Path) -> str:
    return f"sqlite:///{store}"


def history(client: MlflowClient, run_id: str | None, key: str) -> dict[int, float]:
    points = client.get_metric_history(str(run_id), key)
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in points}


def test_a_search_can_be_read_back(uri: str, make_summary: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"test_accuracy": [0.4, 0.7, NAN], "params": [1e3, 2e3, 3e3], "macs": [1e5, 2e6, 3e6]}
    columns["reused"] = [True, False, False]
    summary = make_summary([0.5, 0.8, NAN], [None, None, "lost"], columns=columns, costs={"evaluating": 86400.0, "total": 9.5})
    summary = replace(summary, ending=Ending("time", 3, 6, 2, 29.2, 20.0))
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("the report")
    tags = {"space": "nasbench201", "seed": 3, "study": "first"}
    params = {"num_candidates": 3, "searcher_options": {"population_size": 10}}
    tracker = Tracker(uri, "nasbench201/back", "ngae-s3", tags, params, directory=tmp_path, gpus_per_worker=0.5)
    run_id = tracker.start()
    tracker.record(outcomes([0.5], reused=True))
    tracker.record(outcomes([0.8, NAN]))
    tracker.record_values({"surrogate/kendall_tau": 0.6, "surrogate/lost": NAN})
    tracker.log_artifacts(tmp_path / "report")
    assert tracker.finish("FINISHED", summary) is None

    client = MlflowClient(uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)  # where MLflow 3.1 looks for files, whatever a client was told
    run = client.get_run(str(run_id))
    assert (run.info.status, run.info.run_name, tracker.run_id) == ("FINISHED", "ngae-s3", run_id)
    assert client.get_experiment(run.info.experiment_id).name == "nasbench201/back"
    assert run.data.params == {"num_candidates": "3", "searcher_options.population_size": "10"}
    assert tags.items() <= {**run.data.tags, "seed": int(run.data.tags["seed"])}.items()
    assert run.data.tags["anytime.unit"] == "thousands of MACs"
    assert (run.data.tags["ending"], run.data.tags["ending.resume"]) == ("time", summary.command)
    assert run.data.tags["ending.text"].startswith("The time budget of 20 s ended the search after 29 s: 3 of 6")
    assert run.data.tags["ending.text"].endswith("Given up: 2 evaluations that had begun or came next.")
    assert "best validation accuracy **80.00 %** among 3 candidates" in run.data.tags["mlflow.note.content"]
    expected = {"best_score": 0.8, "best_test_accuracy": 0.7, "best_macs": 2e6, "best_params": 2e3, "num_candidates": 3}
    expected |= {"num_failed": 1, "num_reused": 1, "costs/total_seconds": 9.5, "costs/evaluating_gpu_days": 0.5}
    expected |= {"surrogate/kendall_tau": 0.6}
    assert expected.items() <= run.data.metrics.items()
    assert "surrogate/lost" not in run.data.metrics
    assert history(client, run_id, "search/best_score") == {1: 0.5, 2: 0.8, 3: 0.8}
    assert history(client, run_id, "search/seconds_paid") == {1: 0.0, 2: 2.0, 3: 4.0}
    assert history(client, run_id, "search/best_score_by_seconds") == {2: 0.5, 3: 0.5, 4: 0.8, 5: 0.8, 6: 0.8}
    anytime = history(client, run_id, "anytime/accuracy")
    assert tuple(anytime) == ANYTIME_STEPS
    assert all(value == (0.1 if step < 100 else 0.5 if step < 2000 else 0.8) for step, value in anytime.items())
    assert history(client, run_id, "anytime/macs") == {step: 1000.0 * step for step in ANYTIME_STEPS}
    assert {item.path for item in client.list_artifacts(str(run_id))} == {"report.html", "top.json"}
    table = json.loads(Path(client.download_artifacts(str(run_id), "top.json", str(tmp_path))).read_text())
    assert [row[table["columns"].index("score")] for row in table["data"]] == [0.8, 0.5]


def test_artifacts_lie_beside_the_database(uri: str, store: Path, tmp_path: Path) -> None:
    tracker = Tracker(uri, "space/of the: artifacts", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.finish()
    assert Path(MlflowClient(uri).get_run(str(run_id)).info.artifact_uri.removeprefix("file://")).is_relative_to(store.parent)


def test_five_thousand_candidates_become_a_few_hundred_points(uri: str, tmp_path: Path) -> None:
    scores = [math.sin(index) for index in range(5000)]
    tracker = Tracker(uri, "thinned", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    for start in range(0, 5000, 10):
        tracker.record(outcomes(scores[start : start + 10]))
    assert tracker.finish() is None
    points = history(MlflowClient(uri), run_id, "search/best_score")
    assert 100 < len(points) <= 300
    best = [max(scores[: step + 1]) for step in range(5000)]
    assert all(value == best[step - 1] for step, value in points.items())
    assert {*range(1, 101), 5000} <= set(points)


def test_a_resumed_search_goes_on_in_its_run(uri: str, make_summary: Any, tmp_path: Path, caplog: Any) -> None:
    first = Tracker(uri, "resumed", "run", {"seed": 0}, {"a": 1, "b": "x" * 9000}, directory=tmp_path)
    run_id = first.start()
    first.record(outcomes([0.3, 0.5]))
    first.log_finalists(ranked_rows(make_summary([0.3, 0.5]).evaluations, 5))
    assert first.finish("KILLED", make_summary([0.3, 0.5], columns={"macs": [1e6, 1e6]})) is None
    client = MlflowClient(uri)
    assert client.get_run(str(run_id)).info.status == "KILLED"
    assert history(client, run_id, "anytime/accuracy") == {}

    second = Tracker(uri, "resumed", "run", {"seed": 0}, {"a": 1, "b": "x" * 9000, "new": 2}, run_id, directory=tmp_path)
    assert second.start() == run_id
    assert client.get_run(str(run_id)).info.status == "RUNNING"
    assert [record.message for record in caplog.records if record.name.startswith("archsearch")] == []
    second.record(outcomes([0.3, 0.5, 0.4, 0.7]))
    rows = ranked_rows(make_summary([0.3, 0.5, 0.4, 0.7]).evaluations, 5)
    second.log_finalists(rows)
    assert second.finish("FINISHED", make_summary([0.3, 0.5, 0.4, 0.7], columns={"macs": [1e6] * 4})) is None
    run = client.get_run(str(run_id))
    assert run.info.status == "FINISHED"
    assert run.data.params == {"a": "1", "b": "x" * 5997 + "...", "new": "2"}
    assert run.data.metrics["best_score"] == 0.7
    assert history(client, run_id, "search/best_score") == {1: 0.3, 2: 0.5, 3: 0.5, 4: 0.7}
    assert tuple(history(client, run_id, "anytime/accuracy")) == ANYTIME_STEPS
    children = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert {child.info.run_name for child in children} == {f"top{row.rank:02d}-{row.key[:8]}" for row in rows}


def test_changed_parameters_keep_their_first_value(uri: str, tmp_path: Path, caplog: Any) -> None:
    run_id = _empty_run(Tracker(uri, "changed", "run", {}, {"a": 1}, directory=tmp_path))
    assert _empty_run(Tracker(uri, "changed", "run", {}, {"a": 2}, run_id, directory=tmp_path)) == run_id
    assert MlflowClient(uri).get_run(str(run_id)).data.params == {"a": "1"}
    assert "changed parameters of run: a" in caplog.text


def _empty_run(tracker: Tracker) -> str | None:
    run_id = tracker.start()
    assert tracker.finish() is None
    return run_id


@pytest.mark.parametrize("deleted", [True, False])
def test_a_run_that_is_gone_is_replaced(uri: str, tmp_path: Path, caplog: Any, deleted: bool) -> None:
    client, gone = MlflowClient(uri), "0" * 32
    if deleted:
        gone = str(_empty_run(Tracker(uri, "gone", "run", {}, {}, directory=tmp_path)))
        client.delete_run(gone)
    run_id = _empty_run(Tracker(uri, "gone", "run", {}, {}, gone, directory=tmp_path))
    assert run_id not in (None, gone)
    assert client.get_run(str(run_id)).data.tags["resume_of"] == gone
    assert "no longer exists" in caplog.text


def test_a_deleted_experiment_is_restored(uri: str, tmp_path: Path) -> None:
    client = MlflowClient(uri)
    client.delete_experiment(client.create_experiment("deleted"))
    assert _empty_run(Tracker(uri, "deleted", "run", {}, {}, directory=tmp_path))
    assert [each.name for each in client.search_experiments(filter_string="name = 'deleted'")] == ["deleted"]


def test_finalists_are_child_runs(uri: str, make_summary: Any, tmp_path: Path) -> None:
    summary = make_summary([0.1 * index for index in range(8)], columns={"macs": [1e6 + index for index in range(8)]})
    rows = ranked_rows(summary.evaluations, 8)
    tracker = Tracker(uri, "finalists", "run", {"searcher": "gates", "mlflow.note.content": "x"}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.log_finalists(rows)
    tracker.finish()
    client = MlflowClient(uri)
    experiment = client.get_run(str(run_id)).info.experiment_id
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", order_by=["metrics.rank"])
    assert [child.info.run_name for child in children] == [f"top{row.rank:02d}-{row.key[:8]}" for row in rows[:5]]
    best = children[0]
    assert (best.info.status, best.data.tags["searcher"]) == ("FINISHED", "gates")
    assert best.data.params == {"architecture": rows[0].architecture, "key": rows[0].key}
    assert best.data.metrics == {"rank": 1, "best_score": rows[0].score, "best_macs": 1e6 + 7, "seconds": 10}


def test_without_an_address_the_database_of_the_folder_is_used(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("runs").mkdir()
    shutil.copy(store, "runs/mlflow.db")
    run_id = _empty_run(Tracker(None, "default", "run", {}, {}))
    assert MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").get_run(str(run_id)).info.run_name == "run"


def test_the_environment_names_the_store(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    run_id = _empty_run(Tracker(None, "environment", "run", {}, {}))
    assert MlflowClient(uri).get_run(str(run_id)).info.run_name == "run"
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_costs_one_warning_and_no_data(make_summary: Any, tmp_path: Path, caplog: Any) -> None:
    before, address = dict(os.environ), UNREACHABLE.replace("//", "//me:secret@")
    tracker = Tracker(address, "exp", "run", {"seed": 1}, {"a": 1}, directory=tmp_path / "run", interval=0.01, patience=20)
    assert tracker.start() is None
    for score in (0.1, 0.2, 0.3):
        tracker.record(outcomes([score]))
    tracker.log_artifacts(tmp_path)
    path = tracker.finish("FINISHED", make_summary([0.1, 0.2, 0.3]))
    assert path == tmp_path / "run" / "mlflow-unsent.jsonl"
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert head["kind"] == "run" and head["params"] == {"a": "1"} and head["tags"] == {"seed": "1"}
    assert (head["experiment"], head["run_name"], head["run_id"], head["status"]) == ("exp", "run", None, "FINISHED")
    points = [(line["step"], line["value"]) for line in lines if line.get("key") == "search/best_score"]
    assert points == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert {"kind": "task", "what": f"files of {tmp_path}"} in lines
    assert sum("cannot log to MLflow" in message for message in caplog.messages) == 1
    assert f"{path}; send it with: archsearch resume {path.parent}" in caplog.messages[-1]
    assert "secret" not in caplog.text + path.read_text()
    assert dict(os.environ) == before


@pytest.fixture
def late_server(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow's own server application on a port that is kept for it; nothing answers there before it is started."""
    from werkzeug.serving import make_server

    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", uri)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path / "artifacts"))
    monkeypatch.setattr(store_module, "_CONTACT_SECONDS", 60.0)  # the server may be slow on a busy machine
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = []
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]

        def start() -> None:
            from mlflow.server import app

            reserved.listen()
            running.append(make_server("127.0.0.1", port, app, fd=reserved.fileno()))
            threading.Thread(target=running[0].serve_forever, args=(0.01,), daemon=True).start()

        yield f"http://127.0.0.1:{port}", start
        for server in running:
            server.shutdown()
            server.server_close()


def test_points_wait_for_a_server_that_comes_late(late_server: Any, uri: str, tmp_path: Path, capsys: Any) -> None:
    address, start = late_server
    tracker = Tracker(address, "late", "run", {}, {"a": 1}, directory=tmp_path)
    assert tracker.start() is None
    tracker.record(outcomes([0.1, 0.2]))
    start()
    assert tracker.finish() is None
    run_id = tracker.run_id
    assert history(MlflowClient(uri), run_id, "search/best_score") == {1: 0.1, 2: 0.2}
    assert MlflowClient(uri).get_run(str(run_id)).data.params == {"a": "1"}
    assert capsys.readouterr().out == ""


def test_a_server_that_takes_long_is_reported_while_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    answer = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                answer.wait()
            self.send_response(200 if self.path == "/health" else 400)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr("archsearch.platform.tracking.tracker._SLOW_SECONDS", 0.2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    tracker = Tracker(f"http://127.0.0.1:{server.server_port}", "slow", "run", {}, {}, directory=tmp_path, patience=0.1)
    tracker.start(wait=False)
    while "no answer for" not in caplog.text:
        tracker.record(outcomes([0.1]))
        time.sleep(0.02)
    assert "the search goes on" in caplog.text
    assert tracker.finish() == tmp_path / "mlflow-unsent.jsonl"
    answer.set()
    server.shutdown()
    server.server_close()


def test_what_was_not_sent_is_sent_by_the_next_session(uri: str, tmp_path: Path) -> None:
    down = Tracker(UNREACHABLE, "unsent", "run", {}, {}, directory=tmp_path)
    down.start()
    down.record(outcomes([0.1, 0.2]))
    down.record_values({"surrogate/trust_tau": 0.5})
    path = down.finish("KILLED")
    assert path is not None
    path.write_text(path.read_text() + '{"kind": "metric", "key": "cut o')
    up = Tracker(uri, "unsent", "run", {}, {}, directory=tmp_path)
    run_id = up.start()
    up.record(outcomes([0.1, 0.2, 0.3]))
    assert up.finish() is None
    client = MlflowClient(uri)
    assert history(client, run_id, "search/best_score") == {1: 0.1, 2: 0.2, 3: 0.3}
    assert history(client, run_id, "surrogate/trust_tau") == {2: 0.5}
    assert not path.exists()


def test_an_experiment_deleted_under_a_running_search(uri: str, tmp_path: Path, caplog: Any) -> None:
    client = MlflowClient(uri)
    first = Tracker(uri, "deleted under it", "run", {}, {}, directory=tmp_path, interval=0.01)
    run_id = first.start()
    first.record(outcomes([0.1]))
    experiment = client.get_run(str(run_id)).info.experiment_id
    client.delete_experiment(experiment)
    first.record(outcomes([0.2, 0.3]))
    path = first.finish("FINISHED")
    assert path is not None
    assert "the search goes on" in caplog.text and f"archsearch resume {tmp_path}" in caplog.messages[-1]
    second = Tracker(uri, "deleted under it", "run", {}, {}, run_id, directory=tmp_path)
    assert second.start() == run_id
    second.record(outcomes([0.1, 0.2, 0.3]))
    assert second.finish() is None
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert history(client, run_id, "search/best_score") == {1: 0.1, 2: 0.2, 3: 0.3}
    assert client.get_run(str(run_id)).info.status == "FINISHED"


def test_a_network_with_exits_has_a_curve_of_its_own(uri: str, make_summary: Any, tmp_path: Path) -> None:
    exits = AnytimeCurve.of_exits([2e5, 4e5], [0.3, 0.4], 0.1)
    summary = make_summary([0.5], columns={"macs": [4e5]}, exits=exits)
    tracker = Tracker(uri, "exits", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.record(outcomes([0.5]))
    assert tracker.finish("FINISHED", summary) is None
    client = MlflowClient(uri)
    curve = history(client, run_id, "anytime/exits_accuracy")
    assert tuple(curve) == ANYTIME_STEPS
    assert all(value == (0.1 if step < 200 else 0.3 if step < 400 else 0.4) for step, value in curve.items())
    metrics = client.get_run(str(run_id)).data.metrics
    assert metrics["anytime/exits_auc"] == pytest.approx(0.2 * 0.1 + 0.2 * 0.3 + 0.6 * 0.4)
    assert metrics["anytime/auc"] == pytest.approx(0.2 * 0.1 + 0.2 * 0.3 + 0.6 * 0.5)


def test_the_best_are_a_table_with_pictures(uri: str, make_summary: Any, tmp_path: Path) -> None:
    (tmp_path / "report" / "top").mkdir(parents=True)
    (tmp_path / "report" / "top" / "rank-01.png").write_bytes(b"a picture")
    tracker = Tracker(uri, "pictures", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.record(outcomes([0.5, 0.7]))
    tracker.log_artifacts(tmp_path / "report")
    assert tracker.finish("FINISHED", make_summary([0.5, 0.7])) is None
    client = MlflowClient(uri)
    table = json.loads(Path(client.download_artifacts(str(run_id), "top.json", str(tmp_path))).read_text())
    assert table["columns"][:3] == ["rank", "picture", "score"]
    cell, none = (row[1] for row in table["data"])
    assert none is None
    for name in ("filepath", "compressed_filepath"):  # the UI shows one in the table, and the other when it is clicked
        assert Path(client.download_artifacts(str(run_id), cell[name], str(tmp_path))).read_bytes() == b"a picture"
    assert cell["type"] == "image"
    tags = client.get_run(str(run_id)).data.tags
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "top.json", "type": "table"}]


def test_a_failing_task_does_not_hold_back_the_others(uri: str, tmp_path: Path) -> None:
    tracker = Tracker(uri, "failing", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.record(outcomes([0.5]))
    tracker.log_artifacts(tmp_path / "missing")
    path = tracker.finish()
    assert path is not None
    assert [json.loads(line)["what"] for line in path.read_text().splitlines()[1:]] == [f"files of {tmp_path / 'missing'}"]
    assert MlflowClient(uri).get_run(str(run_id)).info.status == "FINISHED"


def test_a_tracker_tells_the_run_once_it_is_there(uri: str, tmp_path: Path) -> None:
    told: list[str] = []
    tracker = Tracker(uri, "told", "run", {}, {}, directory=tmp_path, on_run=told.append)
    tracker.start(wait=False)
    assert tracker.run_id is not None
    tracker.finish()
    assert told == [tracker.run_id]
