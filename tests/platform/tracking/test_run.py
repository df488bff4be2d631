from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from archsearch.platform.tracking import run as mlflow_run
from archsearch.platform.tracking.run import check_contact, cut, valid_name


def test_contact_is_any_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_run, "_CONTACT_SECONDS", 60.0)  # the server may be slow on a busy machine

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        check_contact(f"http://127.0.0.1:{server.server_port}/prefix")
    check_contact("sqlite:///somewhere.db")
    with pytest.raises(ConnectionError, match="no answer from http://127"):
        check_contact("http://127.0.0.1:9")


@pytest.mark.parametrize(("name", "valid"), [("acc@50M", "acc_50M"), ("a/b c:d-e.f_g", "a/b c:d-e.f_g"), ("", "_")])
def test_names_become_valid(name: str, valid: str) -> None:
    assert valid_name(name) == valid


def test_long_texts_are_cut() -> None:
    assert (cut(12, 5), cut("abcdefgh", 5), len(valid_name("x" * 300))) == ("12", "ab...", 250)
