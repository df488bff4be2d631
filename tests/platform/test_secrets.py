"""Passwords are in no file that a search leaves, in nothing that it prints, and in no list of processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from archsearch import credentials
from archsearch.cluster.jobs.upload import Upload, package_files
from archsearch.errors import ConfigurationError
from archsearch.platform.command_line import main
from archsearch.platform.commands.submit import for_cluster
from archsearch.platform.configuration import SearchConfiguration, from_mapping, write_yaml
from archsearch.platform.search import run_search

SECRET = "pa55word-2f6c1d7e90b84a53"  # fixed: the names of the tests contain it
URIS = [
    f"http://me:{SECRET}@127.0.0.1:9",
    f"https://{SECRET}@127.0.0.1:9/mlflow",
    f"postgresql://me:{SECRET}@127.0.0.1:9/db",
    f"mysql+pymysql://me:{SECRET}@127.0.0.1:9/db?charset=utf8mb4",
    f"postgresql://127.0.0.1:9/db?user=me&password={SECRET}",
    f"http://127.0.0.1:9/?api_key={SECRET}",
    f"nonsense://me:{SECRET}@127.0.0.1",
]


def holding(folder: Path, secret: str = SECRET) -> list[str]:
    """Return the files below a folder that hold the secret, or have it in their names."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files, f"nothing to look at in {folder}"
    return [str(path) for path in files if secret in str(path) or secret.encode() in path.read_bytes()]


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("uri", URIS[:3])
def test_a_store_that_does_not_answer(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"searcher": "random", "evaluator": "table:digits201", "num_candidates": 3, "report": False}
    result = run_search(**settings, storage=tmp_path, name="r", tracking=uri, seed=1)
    assert (tmp_path / "r/mlflow-unsent.jsonl").exists()
    assert holding(tmp_path) == []
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err + caplog.text + repr(result) + str(result.summary.settings)
    assert "cannot log to MLflow at" in caplog.text
    assert "***" in yaml.safe_load((tmp_path / "r/run.yaml").read_text())["tracking"]


@pytest.mark.parametrize("uri", URIS)
def test_settings_do_not_hold_a_password(uri: str, tmp_path: Path) -> None:
    configuration = SearchConfiguration(tracking=uri, evaluator="table:digits201")
    write_yaml(configuration, tmp_path / "run.yaml")
    assert SECRET not in repr(configuration) + json.dumps(configuration.as_dict()) + (tmp_path / "run.yaml").read_text()
    assert credentials.revealed(configuration.tracking) == uri


@pytest.mark.parametrize("uri", URIS)
def test_jobs_are_not_told_a_password(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for tracking in (uri, "auto"):
        settings = for_cluster(SearchConfiguration(tracking=tracking, storage="/shared/runs", name="r"), is_here=False)
        upload = Upload(package_files(), {"search.yaml": yaml.safe_dump(settings.as_dict())})
        package, working = upload.stage(tmp_path / tracking[:4])
        assert holding(working) == [] and SECRET not in upload.listing() and package.exists()
        assert "***" in settings.tracking


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": f"s3://KEY:{SECRET}@bucket/runs"}, "storage: .*AWS_SECRET_ACCESS_KEY"),
        ({"storage": f"s3://bucket/runs?secret_key={SECRET}"}, "storage: .*AWS_SECRET_ACCESS_KEY"),
        ({"address": f"http://me:{SECRET}@head:8265"}, "address: .*RAY_AUTH_TOKEN"),
        ({"address": f"ray://{SECRET}:x@head:10001"}, "address: .*RAY_AUTH_TOKEN"),
        ({"evaluator": f"table:https://me:{SECRET}@host/scores.csv#x"}, "evaluator: .*environment"),
        ({"searcher_options": {"storage": [f"mysql://me:{SECRET}@host/db"]}}, "searcher_options: .*environment"),
        ({"study": f"https://me:{SECRET}@host"}, "study: "),
    ],
)
def test_other_settings_with_a_password_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        from_mapping(settings)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--storage", f"s3://KEY:{SECRET}@bucket/runs"],
        ["run", "--dry-run", "--table", "digits201", "--tracking", f"http://me:{SECRET}@127.0.0.1:9"],
        ["run", "--address", f"http://me:{SECRET}@127.0.0.1:9"],
        ["compare", "--tracking", f"http://me:{SECRET}/x@127.0.0.1:9"],
        ["submit", "--address", f"http://me:{SECRET}@127.0.0.1:9", "--storage", "/shared/runs", "--tracking", "off"],
        ["resume", f"s3://KEY:{SECRET}@bucket/runs/r"],
        ["export", f"s3://KEY:{SECRET}@bucket/runs/r"],
        ["doctor", "--storage", f"s3://KEY:{SECRET}@bucket/runs", "--tracking", f"http://me:{SECRET}@127.0.0.1:9"],
        ["ui", "--tracking", f"http://me:{SECRET}@127.0.0.1:9"],
    ],
)
def test_no_command_prints_a_password(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("archsearch.platform.commands.doctor._calibration", lambda seconds: ("speed", "not measured", True))
    assert main(command) == {"ui": 0, "doctor": 1}.get(command[0], 2)
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err
    assert printed.out + printed.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", [["--tracking", URIS[0]], [f"--tracking={URIS[2]}"], ["--track", URIS[4]]])
def test_the_command_hides_its_own_password_from_the_list_of_processes(form: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["-m", "archsearch", "ui", "--port", "5000", *form]
    monkeypatch.setattr(sys, "argv", ["archsearch", *given[2:]])
    monkeypatch.setattr(sys, "orig_argv", ["python", *given])

    class Replaced(Exception):
        pass

    def execve(program: str, arguments: list[str], environment: dict[str, str]) -> None:
        raise Replaced(program, arguments, environment)

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(Replaced) as caught:
        main()
    program, arguments, environment = caught.value.args
    assert program == sys.executable and arguments[:6] == [sys.executable, *given[:5]]
    assert SECRET not in " ".join(arguments) and "***" in arguments[-1]
    assert environment["MLFLOW_TRACKING_URI"] == form[-1].removeprefix("--tracking=")


_CONFIGURATION = """[mlflow]
default_permission = EDIT
database_uri = sqlite:///{folder}/users.db
admin_username = admin
admin_password = {secret}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture
def guarded(tmp_path: Path, mlflow_store: Path) -> Iterator[str]:
    """Host and port of an MLflow server that asks for a password; its files are in `tmp_path/server`."""
    users, folder = tmp_path / "users", tmp_path / "server"
    users.mkdir()
    folder.mkdir()
    (users / "auth.ini").write_text(_CONFIGURATION.format(folder=users, secret=SECRET))
    port = 20000 + uuid.uuid4().int % 10000
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{shutil.copy(mlflow_store, folder)}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_AUTH_CONFIG_PATH": str(users / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "key"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    while not _answers(port):
        assert server.poll() is None, (folder / "log").read_text()
        time.sleep(0.3)
    yield f"127.0.0.1:{port}"
    os.killpg(server.pid, 9)
    server.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20).close()
    except OSError:
        return False
    return True


@pytest.mark.long
@pytest.mark.timeout(900)  # a server and three searches, on a machine that may be busy
def test_a_search_that_logs_to_a_server_with_a_password(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "mine"
    folder.mkdir()
    began = time.time()
    command = [sys.executable, "-m", "archsearch", "run", "--table", "digits201", "--searcher", "random", "--candidates", "5"]
    command += ["--name", "r", "--tracking", f"http://admin:{SECRET}@{guarded}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    (folder / "printed").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["printed", "runs"]
    assert holding(folder) == [] == holding(tmp_path / "server")
    logs = [path for path in Path("/tmp/ray").glob("session_*/logs/**/*") if path.is_file() and path.stat().st_mtime > began]
    assert [str(path) for path in logs if SECRET.encode() in path.read_bytes()] == []

    # The password was used: the server has the run, with its files.
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    client = MlflowClient(f"http://{guarded}")
    run = client.get_run((folder / "runs/r/mlflow-run-id.txt").read_text().strip())
    assert run.info.status == "FINISHED"
    assert run.data.params["tracking"] == f"http://***@{guarded}"
    assert "report.html" in {file.path for file in client.list_artifacts(run.info.run_id)}

    # A later process is told what is missing, and goes on with what the environment says.
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    resume = [sys.executable, "-m", "archsearch", "resume", "runs/r"]
    refused = subprocess.run(resume, cwd=folder, capture_output=True, text=True, timeout=200)
    assert refused.returncode == 2
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in refused.stderr
    environment = {**os.environ, "MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": SECRET}
    resumed = subprocess.run(resume, cwd=folder, capture_output=True, text=True, timeout=280, env=environment)
    assert resumed.returncode == 0, resumed.stderr
    (folder / "printed").write_text(resumed.stdout + resumed.stderr)
    assert "cannot log to MLflow" not in resumed.stderr
    assert holding(folder) == [] == holding(tmp_path / "server")
