"""The way to a job server: what is wrong with it is said, and at once. Real jobs run in tests/platform/test_submit.py."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from archsearch.cluster.jobs import job_server as submission
from archsearch.cluster.jobs.job_server import JobServer
from archsearch.errors import ConfigurationError


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the servers of these tests the time that a busy machine needs."""
    monkeypatch.setattr(submission, "_CONTACT_SECONDS", 60.0)


@pytest.fixture
def answering() -> Iterator[Callable[[int, str], str]]:
    """Starts an HTTP server that answers all questions alike, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(code: int, text: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "address", ["ray://127.0.0.1:10001", "http://", "http://head:port", "http://127.0.0.1:8265/api", "auto mobile"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"address: (expected http://HEAD:8265|no job server answers).*"):
        JobServer(address)


def test_an_address_where_nothing_answers_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"no job server answers at http://127.0.0.1:9 .*ray start --head, with ray"):
        JobServer("127.0.0.1:9")


@pytest.mark.parametrize(("code", "text"), [(404, "not here"), (200, "<html>a page</html>"), (500, "broken")])
def test_another_web_server_is_told_from_a_job_server(code: int, text: str, answering: Callable[[int, str], str]) -> None:
    with pytest.raises(ConfigurationError, match=r"is no job server .*its port is 8265 .*ray\[default\]"):
        JobServer(answering(code, text))


def test_a_port_that_does_not_speak_http_is_told_from_a_job_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connections = [server.accept()[0], server.accept()[0]]
            connections[1].sendall(b"\x00\x00\x12\x04\x00\x00")
            for connection in connections:
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConfigurationError, match="is no job server"):
            JobServer(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_server_that_asks_for_a_token_says_how_to_give_one(
    answering: Callable[[int, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ConfigurationError, match=r"asks for Ray's token.*set RAY_AUTH_TOKEN, or write ~/.ray/auth_token"):
        JobServer(answering(401, "Unauthorized"))


def test_a_wrong_token_is_named(answering: Callable[[int, str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "not the one")
    with pytest.raises(ConfigurationError, match="does not accept Ray's token of this machine"):
        JobServer(answering(403, "Forbidden"))
