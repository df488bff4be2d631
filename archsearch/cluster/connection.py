"""The connection to Ray."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings

from archsearch.errors import ConfigurationError

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


def connect(address: str | None = None, num_cpus: int | None = None) -> None:
    """Connect to a Ray cluster, or start Ray in this machine; nothing happens when Ray is already there.

    Args:
        address: `auto`, `HOST:PORT`, or None for the cluster that the environment names (RAY_ADDRESS), else a local one.
        num_cpus: CPUs of a local one; None takes all.

    Raises:
        ConfigurationError: The cluster does not answer.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        return
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    address = address or os.environ.get("RAY_ADDRESS")
    if address and address not in ("auto", "local"):
        _check_reachable(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"address: no Ray cluster answers at {address or 'this machine'} ({reason}).") from error
    if callable(on_sigterm) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in place, which aborts


def _check_reachable(address: str) -> None:
    """Refuse at once what Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigurationError(
            f"address: expected auto or HOST:PORT of the cluster's head (its port is 6379); got {address!r}."
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONTACT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"address: no Ray cluster answers at {address} ({error}); start one: ray start --head"
        ) from error


def cluster_cpus() -> int:
    """Return the CPUs of the connected cluster."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
