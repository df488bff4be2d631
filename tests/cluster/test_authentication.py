"""Ray's token is sent where there is one. Each case runs in a process of its own: Ray reads the environment once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ray
from archsearch.cluster.authentication import use_token
from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
print(use_token(), get_auth_headers_if_auth_enabled({}).get("authorization"))
"""


@pytest.mark.parametrize(
    ("environment", "file", "expected"),
    [
        ({}, None, "False None"),
        ({"RAY_AUTH_TOKEN": "secret"}, None, "True Bearer secret"),
        ({}, "on file", "True Bearer on file"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "secret"}, None, "False None"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "secret"}, "on file", "True Bearer secret"),
    ],
)
def test_the_token_is_sent_unless_that_is_turned_off(
    environment: dict[str, str], file: str | None, expected: str, tmp_path: Path
) -> None:
    if file:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray/auth_token").write_text(file)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**kept, "HOME": str(tmp_path), **environment}, capture_output=True, text=True
    )
    assert done.stdout.strip() == expected, done.stderr
