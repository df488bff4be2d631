"""What this machine and this installation offer to a search."""

from __future__ import annotations

import importlib.metadata
import os
import platform as python_platform
import sys
from pathlib import Path

_PACKAGES = ("ray", "torch", "torchvision", "mlflow", "optuna", "pyarrow", "numpy", "scikit-learn")


def doctor(storage: str = "runs") -> list[tuple[str, str, bool]]:
    """Return what was looked at: its name, what was seen, and whether it is in order.

    Args:
        storage: Folder that runs are to be written to.
    """
    checks = [("python", f"{python_platform.python_version()} on {python_platform.system()} {python_platform.machine()}", True)]
    checks += [_package(name) for name in ("archsearch", *_PACKAGES)]
    return [*checks, _processor(), _gpus(), _ray(), _storage(Path(storage).expanduser()), _tracking()]


def format_checks(checks: list[tuple[str, str, bool]]) -> str:
    """Return the checks as aligned lines."""
    width = max(len(name) for name, _, _ in checks)
    return "\n".join(f"{'ok ' if fine else 'BAD'}  {name.ljust(width)}  {seen}" for name, seen, fine in checks)


def _package(name: str) -> tuple[str, str, bool]:
    try:
        return name, importlib.metadata.version(name), True
    except importlib.metadata.PackageNotFoundError:
        return name, f"not installed; run: {sys.executable} -m pip install {name}", False


def _processor() -> tuple[str, str, bool]:
    import torch

    return "processor", f"{os.cpu_count()} cores; torch uses {torch.get_num_threads()} threads a process", True


def _gpus() -> tuple[str, str, bool]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return "GPUs", ", ".join(names) or "none seen by torch; searches train on the processor", True


def _ray() -> tuple[str, str, bool]:
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        return "Ray cluster", "none named (RAY_ADDRESS is not set); searches start Ray in this machine", True
    from archsearch.cluster import connect
    from archsearch.errors import ConfigurationError

    try:
        connect(address)
    except ConfigurationError as error:
        return "Ray cluster", str(error), False
    import ray

    resources = ray.cluster_resources()
    seen = f"{len(ray.nodes())} nodes, {resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs at {address}"
    return "Ray cluster", seen, True


def _storage(folder: Path) -> tuple[str, str, bool]:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    fine = os.access(existing, os.W_OK)
    return "storage", f"{folder.absolute()} {'can' if fine else 'cannot'} be written", fine


def _tracking() -> tuple[str, str, bool]:
    from archsearch.platform.tracking import default_uri, shown

    return "MLflow", shown(default_uri()), True
