"""What the machine of the search does meanwhile, in MLflow: processors, memory, disk, network and GPUs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from archsearch.errors import ConfigurationError
from archsearch.logger_levels import raised_level

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

# It logs that measuring begins and ends, which would break the live line of the search.
_LOGGER = "mlflow.system_metrics.system_metrics_monitor"


def check_system_metrics(tracking: str) -> None:
    """Do nothing where MLflow can measure this machine.

    Raises:
        ConfigurationError: psutil, with which MLflow measures, is not installed, or nothing is tracked.
    """
    if tracking == "off":
        raise ConfigurationError("system_metrics: they are shown in MLflow, and tracking is off; leave one of the two out.")
    import ray  # noqa: F401  # it brings a psutil of its own where none is installed

    try:
        import psutil  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "system_metrics: MLflow measures with psutil, which is missing here; get it with: pip install psutil"
        ) from error


class SystemMonitor:
    """Measures this machine every 10 seconds, in a thread of MLflow's, as metrics `system/...` of a run.

    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets another interval. GPUs are measured where nvidia-ml-py is installed.

    Args:
        uri: The store.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._monitor: SystemMetricsMonitor | None = None

    def keep_running(self, run_id: str) -> None:
        """Begin, or begin again: MLflow gives up for good when the store once does not answer."""
        if self._monitor is not None and self._monitor._process is not None and self._monitor._process.is_alive():
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        with raised_level(logging.WARNING, _LOGGER):
            self._monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self._uri)
            self._monitor.start()

    def stop(self) -> None:
        """Send what was measured, and end."""
        if self._monitor is not None:
            with raised_level(logging.WARNING, _LOGGER):
                self._monitor.finish()
