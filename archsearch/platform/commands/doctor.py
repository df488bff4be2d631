"""`archsearch doctor`: checks of this machine, the installation and a Ray cluster."""

from __future__ import annotations

import importlib.metadata
import os
import platform as python_platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ArchSearchError, ConfigurationError, first_line
from archsearch.platform.run_folder import LEDGER

Check = tuple[str, str, bool]

_PACKAGES = ("ray", "torch", "torchvision", "mlflow", "optuna", "pyarrow", "numpy", "scikit-learn")
_SIMULATED, _WORKERS = 30, 4


def doctor(storage: str = "runs", tracking: str = "auto", address: str | None = None, seconds: float = 2.0) -> list[Check]:
    """Return the checks, each as (name, finding, whether it passed).

    Args:
        storage: Folder for runs.
        tracking: MLflow tracking URI, `auto` or `off`.
        address: Address of a Ray cluster; None takes RAY_ADDRESS, if set.
        seconds: Duration of the speed check, which evaluates candidates; 0 skips it.
    """
    checks = [("python", f"{python_platform.python_version()} on {python_platform.system()} {python_platform.machine()}", True)]
    checks += [_package(name) for name in ("archsearch", *_PACKAGES)]
    checks += [_processor(), _gpus(), ("storage", *storage_state(storage)), _tracking(tracking, storage), _token()]
    checks += [*_cluster(address or os.environ.get("RAY_ADDRESS"), storage), _schedulers()]
    return [*checks, _calibration(seconds)] if seconds else checks


def format_checks(checks: list[Check]) -> str:
    """Return the checks as aligned lines."""
    width = max(len(name) for name, _, _ in checks)
    return "\n".join(f"{'ok ' if fine else 'BAD'}  {name.ljust(width)}  {seen}" for name, seen, fine in checks)


def storage_state(storage: str) -> tuple[str, bool]:
    """Return a description of a storage and whether a search can write to it; nothing is left in it."""
    try:
        place = StoragePlace.of(storage)
        place.check_writable()
    except ArchSearchError as error:
        return str(error).removeprefix("storage: "), False
    if place.is_remote:
        return f"{place.address} can be written, read and cleaned", True
    folder = place.local
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        # Permission bits do not show a read-only mount or a full quota, and mean nothing for root.
        for checked in {existing, *(part for part in (folder / LEDGER, folder / LEDGER / "_started") if part.exists())}:
            with tempfile.TemporaryDirectory(dir=checked, prefix=".archsearch-") as probe:
                (Path(probe) / "probe").write_bytes(b"written by a search, too")
    except OSError as error:
        return f"{folder} is not writable ({error.strerror})", False
    return f"{folder} is writable, {shutil.disk_usage(existing).free / 1e9:.0f} GB free", True


def _package(name: str) -> Check:
    try:
        return name, importlib.metadata.version(name), True
    except importlib.metadata.PackageNotFoundError:
        return name, f"not installed; run: {sys.executable} -m pip install {name}", False


def _processor() -> Check:
    import torch

    named = f" (OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']})" if os.environ.get("OMP_NUM_THREADS") else ""
    seen = (
        f"{os.cpu_count()} cores; torch uses {torch.get_num_threads()} threads per process{named}; a training uses 1 by default"
    )
    return "processor", seen, True


def _gpus() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return "GPUs", ", ".join(names) or "none found by torch; searches train on the CPU", True


def _token() -> Check:
    from archsearch.cluster.authentication import use_token

    sent = use_token()
    return (
        "Ray token",
        "found; it is sent to clusters" if sent else "none; clusters that require one refuse this machine",
        True,
    )


def _cluster(address: str | None, storage: str) -> list[Check]:
    from archsearch.cluster import connect

    try:
        connect(address)
    except ConfigurationError as error:
        return [("Ray cluster", str(error), False)]
    import ray

    if not address:
        there = ray.cluster_resources()
        seen = (
            f"none given (RAY_ADDRESS is not set); Ray started here: {there.get('CPU', 0):g} CPUs, {there.get('GPU', 0):g} GPUs"
        )
        return [("Ray cluster", seen, True)]

    nodes, resources = [node for node in ray.nodes() if node["Alive"]], ray.cluster_resources()
    seen = f"{len(nodes)} nodes, {resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs at {address}"
    checks = [("Ray cluster", seen, True)]
    checks += [(f"node {node['NodeID'][:8]}", _node(node["NodeManagerAddress"], node["Resources"]), True) for node in nodes]
    return [*checks, _shared(storage, len(nodes))]


def _node(address: str, resources: dict[str, float]) -> str:
    memory = resources.get("memory", 0.0) / 1e9
    return f"{address}: {resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs, {memory:.0f} GB of memory for tasks"


def _shared(storage: str, nodes: int) -> Check:
    from archsearch.cluster.storage import check_storage

    try:
        check_storage(StoragePlace.of(storage).address)
    except ArchSearchError as error:
        return "shared storage", str(error), False
    return "shared storage", f"{nodes} of {nodes} nodes read and write {storage}", True


def _tracking(tracking: str, storage: str) -> Check:
    from archsearch.platform.tracking.rehearsal import check_logging

    if tracking == "off":
        return "MLflow", "off", True
    try:
        return "MLflow", check_logging(tracking, storage), True
    except ArchSearchError as error:
        return "MLflow", str(error), False


def _schedulers() -> Check:
    """Search the embedded table of digits by simulated workers under each scheduler: they depend on the release of Ray."""
    from archsearch.cluster import run_simulated_clock
    from archsearch.cluster.schedulers import registry
    from archsearch.evaluators import CurveTable
    from archsearch.searchers import RandomSearch

    stopped: dict[str, int] = {}
    for name in registry.names():
        table = CurveTable.embedded("digits201")
        searcher = RandomSearch(table.space, seed=0, num_candidates=_SIMULATED, batch_size=1)
        try:
            made = registry.get(name, max_fidelity=table.max_fidelity)
            course = run_simulated_clock(searcher, table, workers=_WORKERS, scheduler=made)
        except ArchSearchError as error:
            return "schedulers", first_line(error), False
        stopped[name] = sum(event.action == "STOP" for event in course)
    counts = ", ".join(f"{name} {count}" for name, count in stopped.items())
    return "schedulers", f"of {_SIMULATED} simulated trainings each stopped early: {counts}", all(stopped.values())


def _calibration(seconds: float) -> Check:
    """Evaluate candidates in a worker of Ray that reserves what a trial does; without Ray there is no search."""
    import ray

    if not ray.is_initialized():
        return "speed", "not measured, because Ray does not run", True
    from archsearch.cluster.placement import Request, require_room
    from archsearch.evaluators import from_text
    from archsearch.platform.commands.calibration import Calibration, calibrate
    from archsearch.platform.configuration import SearchConfiguration
    from archsearch.spaces import get

    default = SearchConfiguration()
    try:
        require_room([Request("a trial", default.cpus_per_worker, default.gpus_per_worker)])
        task: Any = ray.remote(num_cpus=default.cpus_per_worker, num_gpus=default.gpus_per_worker)(calibrate)
        measured: Calibration = ray.get(task.remote(from_text(default.evaluator, get(default.space)), seconds))
    except (ArchSearchError, ray.exceptions.RayError) as error:
        return "speed", first_line(error), False
    seen = f"{measured.pace()} ({default.space}, {default.evaluator}; for other searches: archsearch run --dry-run)"
    return "speed", seen, not measured.errors
