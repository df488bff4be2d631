"""System metrics of this machine in MLflow: CPUs, memory, disk, network and GPUs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from archsearch.errors import ConfigurationError
from archsearch.logger_levels import raised_level

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

# Its messages that measuring starts and stops would break the live line of the search.
_LOGGER = "mlflow.system_metrics.system_metrics_monitor"


def check_system_metrics(tracking: str) -> None:
    """Raise ConfigurationError unless MLflow can measure this machine.

    Raises:
        ConfigurationError: psutil, which MLflow measures with, is not installed, or tracking is off.
    """
    if tracking == "off":
        raise ConfigurationError(
            "system_metrics: they are logged to MLflow, but tracking is off; remove one of the two settings."
        )
    import ray  # noqa: F401  # it contains a psutil, for where none is installed

    try:
        import psutil  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "system_metrics: MLflow needs psutil for them, which is not installed; install it with: pip install psutil"
        ) from error


class SystemMonitor:
    """Logs metrics `system/...` of this machine to a run, every 10 seconds, from a thread of MLflow.

    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets another interval. GPUs are measured where nvidia-ml-py is installed.

    Args:
        uri: Tracking URI of the store.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._monitor: SystemMetricsMonitor | None = None

    def keep_running(self, run_id: str) -> None:
        """Start, or restart: MLflow stops measuring for good if the store once does not answer."""
        if self._monitor is not None and self._monitor._process is not None and self._monitor._process.is_alive():
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        with raised_level(logging.WARNING, _LOGGER):
            self._monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self._uri)
            self._monitor.start()

    def stop(self) -> None:
        """Send the remaining measurements and stop."""
        if self._monitor is not None:
            with raised_level(logging.WARNING, _LOGGER):
                self._monitor.finish()
