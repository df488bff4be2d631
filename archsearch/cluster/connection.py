"""Connects to a Ray cluster, or starts Ray on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from archsearch.cluster.authentication import TOKEN_HINT, use_token
from archsearch.errors import ConfigurationError, first_line

# Tune's own loggers write five files a trial; the ledger and MLflow replace them (Ray's scalability guide).
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_CONTACT_SECONDS = 5.0
_THIS_MACHINE = "this machine"


def connect(address: str | None = None, num_cpus: int | None = None) -> None:
    """Connect to a Ray cluster, or start Ray on this machine; return at once if this process is connected already.

    A Ray that is started here listens on 127.0.0.1 only.

    Args:
        address: `auto`, `HOST:PORT`, `local`, or None: the cluster in the environment variable RAY_ADDRESS, else a local one.
        num_cpus: Number of CPUs of a local one; None takes all.

    Raises:
        ConfigurationError: The cluster does not answer, or does not accept the token.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    address = address or os.environ.get("RAY_ADDRESS")
    address = None if address == "local" else address
    on_sigterm = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            use_token()
            with _loopback_only() if address != "auto" and _is_on_loopback_only(address) else nullcontext():
                ray.init(address=address, **quiet)
        else:
            with _loopback_only():
                ray.init("local", num_cpus=num_cpus, include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises bare ones, too
        raise ConfigurationError(_refusal(address or _THIS_MACHINE, error)) from error
    if callable(on_sigterm) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's handler aborts the process


def _refusal(address: str, error: Exception) -> str:
    # Ray names a wrong token only in the cause of the error.
    if "AuthenticationError" in f"{type(error).__name__} {error.__cause__}":
        return f"address: the Ray cluster at {address} does not accept {TOKEN_HINT}"
    reason = first_line(error).rstrip(".")
    if address == _THIS_MACHINE:
        return f"address: Ray could not be started on this machine ({reason}). Is it overloaded, or short of memory? Try again."
    return f"address: no Ray cluster answers at {address} ({reason})."


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Make a Ray that is started in this context listen on 127.0.0.1 only, instead of all addresses of the machine.

    Ray has this switch for the firewalls of Windows and macOS (ray#18730), where it is the default. It is a constant, read from
    the environment when Ray is imported, which may be long ago.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _is_on_loopback_only(address: str) -> bool:
    """Return whether a cluster answers at 127.0.0.1 alone: Ray would look for it at this machine's outer address.

    Raises:
        ConfigurationError: Nothing answers; Ray itself would try for minutes.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigurationError(
            f"address: expected auto or HOST:PORT of the cluster's head (its port is 6379); got {address!r}."
        )
    try:
        _contact(host, int(port))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"address: no Ray cluster answers at {address} ({error}); start one: ray start --head"
        ) from error
    if host not in ("127.0.0.1", "localhost"):
        return False
    from ray.util import get_node_ip_address

    try:
        _contact(get_node_ip_address(), int(port))
    except OSError:
        return True
    return False


def _contact(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=_CONTACT_SECONDS).close()


def cluster_cpus() -> int:
    """Return the number of CPUs of the connected cluster, at least 1."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
