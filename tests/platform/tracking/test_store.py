"""Addresses of MLflow stores, and whether a server answers: an answer of any kind will do, silence will not."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archsearch import credentials
from archsearch.credentials import without_user
from archsearch.errors import ConfigurationError
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.tracking import store
from archsearch.platform.tracking.store import (
    check_contact,
    check_store,
    check_tracking,
    default_uri,
    shown_uri,
    tracking_uri,
)


@pytest.fixture
def answering() -> Iterator[Callable[[int], str]]:
    """Starts a server that answers /health with a code, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(code: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code if self.path == "/health" else 418)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("code", [200, 401, 404])
def test_a_server_that_answers_is_fine(code: int, answering: Callable[[int], str]) -> None:
    address = answering(code)
    assert check_tracking(f"http://{address}", seconds=60) == f"http://{address}"
    assert check_tracking(f"http://me:secret@{address}/", seconds=60) == f"http://{address}/"


def test_a_broken_server_is_not(answering: Callable[[int], str]) -> None:
    with pytest.raises(ConfigurationError, match="tracking: no MLflow server answers at http://127.0.0.1:.*mlflow server"):
        check_tracking(f"http://{answering(503)}", seconds=60)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match=r"at http://127.0.0.1:9 \(.*refused"):
        check_tracking("http://me:secret@127.0.0.1:9")


def test_a_silent_server_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="timed out"):
            check_tracking(uri, seconds=0.3)


def test_files_need_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_tracking("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/other.db")
    assert check_tracking() == "sqlite:////data/other.db"


@pytest.mark.parametrize("code", [200, 401, 503])
def test_contact_is_any_answer(code: int, answering: Callable[[int], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_CONTACT_SECONDS", 60.0)  # the server may be slow on a busy machine
    check_contact(f"http://{answering(code)}")
    check_contact(f"http://{answering(code)}/prefix")


def test_contact_with_a_database_is_not_tried() -> None:
    check_contact("sqlite:///somewhere.db")


def test_no_contact_without_an_answer() -> None:
    with pytest.raises(ConnectionError, match="no answer from http://127.0.0.1:9 "):
        check_contact("http://me:secret@127.0.0.1:9")


def test_uris_are_shown_without_credentials() -> None:
    assert shown_uri("https://me:secret@host:5000/x") == "https://host:5000/x"
    assert shown_uri("postgresql://me:secret@host/db?sslmode=require") == "postgresql://me:***@host/db?sslmode=require"
    assert shown_uri("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


def test_auto_is_the_store_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("auto") == default_uri() == f"sqlite:///{tmp_path / 'runs/mlflow.db'}"
    assert tracking_uri("auto", "/data/mine") == tracking_uri("auto", "file:///data/mine") == "sqlite:////data/mine/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking_uri("auto") == "http://host:5000"
    assert tracking_uri("sqlite:///mine.db") == "sqlite:///mine.db"


def test_the_store_that_an_earlier_version_began_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").touch()
    assert tracking_uri("auto", "runs") == f"sqlite:///{tmp_path}/runs/mlflow.db"  # a new search
    assert tracking_uri("auto", "runs", begun=True) == f"sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/mlflow.db").touch()
    assert tracking_uri("auto", "runs", begun=True) == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_a_bucket_holds_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    check_store("off", "s3://bucket/runs")
    check_store("sqlite:///mlflow.db", "s3://bucket/runs")
    with pytest.raises(ConfigurationError, match="tracking: .*s3://bucket/runs cannot hold .*--tracking off"):
        check_store("auto", "s3://bucket/runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    check_store("auto", "s3://bucket/runs")


def test_a_servers_password_is_handed_to_mlflow_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri("http://me:s%40cret@host:5000") == "http://host:5000"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "s@cret")


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:secret123@host:5000",
        "https://secret123@host/mlflow",
        "postgresql://me:secret123@host:5432/db",
        "mysql+pymysql://me:secret123@host/db?charset=utf8mb4",
        "postgresql://host/db?user=me&password=secret123",
        "http://host:5000/?token=secret123",
    ],
)
def test_a_hidden_password_is_taken_from_where_it_still_is(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masked = SearchConfiguration(tracking=uri).tracking
    assert "secret123" not in masked and "***" in masked
    whole = without_user(uri) if uri.startswith("http") else uri
    assert tracking_uri(masked) == whole  # in the process that it was given to
    credentials._kept.clear()
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME", raising=False)
    with pytest.raises(ConfigurationError, match="tracking: the store .*needs its password.*set .*MLFLOW_TRACKING_URI") as caught:
        tracking_uri(masked)
    assert "secret123" not in str(caught.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert tracking_uri(masked) == whole


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN"])
def test_a_servers_password_may_be_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "me")
    assert tracking_uri("https://***@host:5000") == "https://host:5000"
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI"):
        tracking_uri("postgresql://me:***@host/db")


def test_a_password_that_cannot_be_told_from_the_host_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tracking: expected a password without .*%2F") as caught:
        tracking_uri("http://me:sec/ret@host:5000")
    assert "sec/ret" not in str(caught.value)
