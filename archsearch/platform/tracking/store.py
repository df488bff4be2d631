"""MLflow stores: their addresses, and whether a server answers."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from archsearch.cluster.storage_place import StoragePlace
from archsearch.credentials import MASK, hidden, keep, revealed, user_and_password, without_user
from archsearch.errors import ConfigurationError

_SQLITE, _DATABASE = "sqlite:///", "mlflow.db"
_SECONDS = 5.0
_CONTACT_SECONDS = 3.0
# Either of them makes MLflow send credentials.
_NAMED = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_TOKEN")


def default_uri(storage: str | Path = "runs", begun: bool = False) -> str:
    """Return the store of `tracking="auto"`: MLFLOW_TRACKING_URI of the environment, else `mlflow.db` in the storage.

    Args:
        storage: Storage of the run.
        begun: Whether the run has an MLflow run already. Earlier versions wrote `mlflow.db` into the working directory: it is
            taken where the storage has none.

    Raises:
        ConfigurationError: The storage is a bucket, which cannot hold a database.
    """
    if named := os.environ.get("MLFLOW_TRACKING_URI"):
        return named
    place = StoragePlace.of(storage)
    if place.is_remote:
        raise ConfigurationError(
            f"tracking: expected an MLflow store, because {place.address} cannot hold MLflow's database; got none. Give the "
            "address of a server (http://HOST:5000), a database (sqlite:///mlflow.db), or --tracking off."
        )
    beside, before = place.local / _DATABASE, Path.cwd() / _DATABASE
    return f"{_SQLITE}{before if begun and not beside.exists() and before.exists() else beside}"


def tracking_uri(tracking: str, storage: str | Path = "runs", begun: bool = False) -> str:
    """Return the MLflow tracking URI of a setting, as MLflow takes it.

    A user name and password of a server are moved from the URI to MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD of this
    process, because MLflow prints and logs URIs. Passwords of databases stay in the URI: use `shown_uri` for messages.

    Args:
        tracking: A URI, or `auto` for `default_uri`. A URI whose password was hidden (`http://***@HOST`, as in `run.yaml`) takes
            it from where it was given in this process, from MLFLOW_TRACKING_URI, or from the two variables above.
        storage: Storage of the run.
        begun: As for `default_uri`.

    Raises:
        ConfigurationError: The password is in none of these places, or `default_uri` raises.
    """
    uri = default_uri(storage, begun) if tracking == "auto" else tracking
    uri = _revealed(uri) if MASK in uri else uri
    keep(uri)  # its password is hidden in all messages from now on
    if not _is_server(uri):
        return uri
    if "@" in without_user(uri):
        raise ConfigurationError(
            f"tracking: expected a password without / ? # @; got another one in {hidden(uri)}. Write these letters as %2F %3F "
            "%23 %40, or set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    if (known := user_and_password(uri)) is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = known
    return without_user(uri)


def _revealed(masked: str) -> str:
    """Return a URI with its password, or without user part where MLflow finds user and password in the environment."""
    if (uri := revealed(masked)) is not None:
        return uri
    server = _is_server(masked)
    if server and "=" + MASK not in masked and any(os.environ.get(name) for name in _NAMED):
        return without_user(masked)
    how = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or " if server else ""
    raise ConfigurationError(
        f"tracking: the store {masked} needs its password, which archsearch never writes to disk and does not send to clusters; "
        f"set {how}MLFLOW_TRACKING_URI to the whole address, in the environment of the process that searches."
    )


def shown_uri(uri: str) -> str:
    """Return a URI for messages: a server's without user name and password, others with their passwords hidden."""
    return hidden(without_user(uri) if _is_server(uri) else uri)


def check_store(tracking: str, storage: str) -> None:
    """Raise ConfigurationError if a search cannot log to its store for want of an address or a password.

    Raises:
        ConfigurationError: As `tracking_uri`; nothing is asked over the network.
    """
    if tracking != "off":
        tracking_uri(tracking, storage)


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite database, or None for other stores."""
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def check_tracking(tracking: str = "auto", storage: str | Path = "runs", seconds: float = _SECONDS) -> str:
    """Raise ConfigurationError unless the MLflow store of a search answers; return its URI without passwords.

    Only servers are asked, not databases.

    Args:
        tracking: MLflow tracking URI, or `auto`.
        storage: Storage of the run.
        seconds: Timeout, seconds.

    Raises:
        ConfigurationError: The server does not answer, or answers with a server error (HTTP 5xx).
    """
    uri = tracking_uri(tracking, storage)
    shown = shown_uri(uri)
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
        raise ConnectionError(f"no answer from {without_user(uri)} ({error.reason})") from error


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _health(uri: str, seconds: float) -> int:
    """Return the HTTP status of `/health` below a server's address.

    200 also stands for a certificate that this process does not trust: MLflow may be configured to trust it.
    """
    try:
        with urllib.request.urlopen(f"{without_user(uri).rstrip('/')}/health", timeout=seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()  # asks for a password, or is another server in front of MLflow
        return error.code
    except urllib.error.URLError as error:
        if "certificate" in str(error.reason).lower():
            return 200
        raise
