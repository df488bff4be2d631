"""Addresses of MLflow stores, and whether a server answers: an answer of any kind will do, silence will not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archsearch.errors import ConfigurationError
from archsearch.platform.tracking import store
from archsearch.platform.tracking.store import check_contact, check_tracking, default_uri, tracking_uri, without_credentials


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
    assert without_credentials("https://me:secret@host:5000/x") == "https://host:5000/x"
    assert without_credentials("postgresql://me:secret@host/db") == "postgresql://host/db"
    assert without_credentials("sqlite:///mlflow.db") == "sqlite:///mlflow.db"


def test_auto_is_the_store_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert tracking_uri("auto") == default_uri() == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking_uri("auto") == "http://host:5000"
    assert tracking_uri("sqlite:///mine.db") == "sqlite:///mine.db"
