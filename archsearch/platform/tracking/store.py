"""MLflow stores: their addresses, and whether a server answers."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from archsearch.errors import ConfigurationError

_SECONDS = 5.0
_CONTACT_SECONDS = 3.0


def default_uri() -> str:
    """Return MLFLOW_TRACKING_URI of the environment, else `mlflow.db` in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def tracking_uri(tracking: str) -> str:
    """Return the MLflow tracking URI of a setting: a URI, or `auto` for `default_uri`."""
    return default_uri() if tracking == "auto" else tracking


def without_credentials(uri: str) -> str:
    """Return a URI without user name and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def check_tracking(tracking: str = "auto", seconds: float = _SECONDS) -> str:
    """Raise ConfigurationError unless the MLflow store of a search answers; return its URI without user name and password.

    Only servers are asked, not databases.

    Args:
        tracking: MLflow tracking URI, `auto` or `off`.
        seconds: Timeout, seconds.

    Raises:
        ConfigurationError: The server does not answer, or answers with a server error (HTTP 5xx).
    """
    uri = tracking_uri(tracking)
    shown = without_credentials(uri)
    if _is_server(uri):
        try:
            status = _health(uri, seconds)
            if status >= 500:
                raise ConnectionError(f"HTTP {status}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigurationError(
                f"tracking: no MLflow server answers at {shown} ({reason}); "
                "start one: mlflow server --host 127.0.0.1 --port 5000, or give --tracking off."
            ) from error
    return shown


def check_contact(uri: str) -> None:
    """Raise OSError if `uri` names a server that sends no HTTP answer, of any status, within three seconds.

    MLflow itself retries an unreachable server for minutes, and that can only be changed by environment variables, for the whole
    process.

    Raises:
        OSError: No answer.
    """
    if not _is_server(uri):
        return
    try:
        _health(uri, _CONTACT_SECONDS)
    except urllib.error.URLError as error:
        raise ConnectionError(f"no answer from {without_credentials(uri)} ({error.reason})") from error


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _health(uri: str, seconds: float) -> int:
    """Return the HTTP status of `/health` below a server's address.

    200 also stands for a certificate that this process does not trust: MLflow may be configured to trust it.
    """
    try:
        with urllib.request.urlopen(f"{without_credentials(uri).rstrip('/')}/health", timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()  # asks for a password, or is another server in front of MLflow
        return error.code
    except urllib.error.URLError as error:
        if "certificate" in str(error.reason).lower():
            return 200
        raise
