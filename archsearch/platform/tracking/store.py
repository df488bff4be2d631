"""Whether an MLflow server answers."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from archsearch.errors import ConfigurationError
from archsearch.platform.tracking.tracker import default_uri, shown

_SECONDS = 5.0


def check_tracking(tracking: str = "auto", seconds: float = _SECONDS) -> str:
    """Return the MLflow store of a search as people may see it, after asking it for an answer if it is a server.

    Args:
        tracking: MLflow tracking URI, `auto` or `off`.
        seconds: How long to wait for the answer.

    Raises:
        ConfigurationError: The server does not answer.
    """
    uri = default_uri() if tracking == "auto" else tracking
    if uri.startswith(("http://", "https://")):
        try:
            _ask(uri, seconds)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise ConfigurationError(
                f"tracking: no MLflow server answers at {shown(uri)} ({reason}); "
                "start one: mlflow server --host 127.0.0.1 --port 5000, or give --tracking off."
            ) from error
    return shown(uri)


def _ask(uri: str, seconds: float) -> None:
    parts = urlsplit(uri)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    try:
        urllib.request.urlopen(f"{plain.geturl().rstrip('/')}/health", timeout=seconds).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise
        error.close()  # it asks for a password, or is an MLflow behind another front: something answers
