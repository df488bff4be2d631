"""`archsearch run --dry-run`: time, CPU-hours and disk of a search, estimated from a few candidates."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from archsearch.cluster import Ledger, connect
from archsearch.cluster.ledger.compaction import MOST_PARTS
from archsearch.cluster.storage import check_storage
from archsearch.cluster.storage_place import StoragePlace
from archsearch.errors import ConfigurationError
from archsearch.evaluators import Evaluation, Evaluator
from archsearch.platform.commands.calibration import Calibration, calibrate
from archsearch.platform.commands.doctor import storage_state
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.preparation import prepare
from archsearch.platform.tracking.store import check_tracking
from archsearch.platform.units import duration

# Measured with Ray 2.60: the overhead of a Tune trial, and of starting Ray and drawing the report together.
_TRIAL_SECONDS, _FRAME_SECONDS = 0.05, 10.0
# The report, its copy in MLflow, and MLflow's empty database.
_REPORT_BYTES, _DATABASE_BYTES = 0.7e6, 1.2e6
_TRIAL_BYTES = 8e3  # files of Tune for one trial
_HOUR = 3600.0


@dataclass(frozen=True)
class Machines:
    """The machines on which trials will run.

    Args:
        name: Human-readable name.
        cpus: Number of CPU cores.
        gpus: Number of GPUs.
    """

    name: str
    cpus: float
    gpus: float

    def slots(self, cpus: float, gpus: float) -> int:
        """Return the number of trials that fit at once if each reserves `cpus` cores and `gpus` (or a fraction of one) GPUs."""
        by_cpu = math.floor(self.cpus / cpus + 1e-9)
        by_gpu = math.inf if gpus == 0 else self.gpus * math.floor(1 / gpus + 1e-9) if gpus <= 1 else self.gpus // gpus
        return int(min(by_cpu, by_gpu))


@dataclass(frozen=True)
class DryRun:
    """Rough estimate of the resources that a search will take.

    Args:
        configuration: The search.
        machines: The machines of its trials.
        calibration: Measured cost of an evaluation.
        workers: Number of trials at once.
        trials: Number of trials.
        ledger_bytes: Size of the ledger afterwards, bytes.
        storage: Human-readable state of the storage.
        tracking: Human-readable name of the MLflow store.
    """

    configuration: SearchConfiguration
    machines: Machines
    calibration: Calibration
    workers: int
    trials: int
    ledger_bytes: float
    storage: str
    tracking: str

    @property
    def worker_seconds(self) -> float:
        """Seconds of all workers together: evaluations, and the overhead of Ray Tune per trial."""
        needed = self.configuration.num_candidates * self.calibration.seconds + self.trials * _TRIAL_SECONDS
        budget = self.configuration.time_budget
        return needed if budget is None else min(needed, budget * self.workers)

    @property
    def seconds(self) -> float:
        """Seconds from the command to the report."""
        return self.worker_seconds / self.workers + _FRAME_SECONDS

    @property
    def cpu_hours(self) -> float:
        """Hours of CPU cores reserved."""
        return self.worker_seconds * self.configuration.cpus_per_worker / _HOUR

    @property
    def gpu_hours(self) -> float:
        """Hours of GPUs reserved."""
        return self.worker_seconds * self.configuration.gpus_per_worker / _HOUR

    @property
    def disk_bytes(self) -> float:
        """Bytes in the storage and in MLflow."""
        report = _REPORT_BYTES if self.configuration.report else 0.0
        tracked = self.configuration.tracking != "off"
        return self.ledger_bytes + self.trials * _TRIAL_BYTES + report + (report + _DATABASE_BYTES if tracked else 0.0)

    def text(self) -> str:
        """Return the human-readable estimate with its assumptions."""
        configuration, calibration, machines = self.configuration, self.calibration, self.machines
        what = f"{configuration.num_candidates} candidates by {configuration.evaluator}, seed {configuration.seed}"
        each = f"{configuration.cpus_per_worker:g} CPU" + (
            f" and {configuration.gpus_per_worker:g} GPU" if configuration.gpus_per_worker else ""
        )
        shortened = ""
        if calibration.epochs:
            shortened = f" (trainings of {calibration.epochs[0]} epochs, extrapolated to {calibration.epochs[1]})"
        lines = [
            f"Dry run:   {configuration.space} with {configuration.searcher}, {what}",
            f"Storage:   {self.storage}",
            f"Tracking:  {self.tracking}",
            f"Workers:   {self.workers}, each with {each} ({machines.name}: {machines.cpus:g} CPUs, {machines.gpus:g} GPUs)",
            f"Measured:  {calibration.pace()}, from {len(calibration.evaluations)} evaluations in "
            f"{calibration.elapsed:.1f} s{shortened}",
            f"Expected:  about {duration(self.seconds)}, {_hours(self.cpu_hours)} CPU-hours, {_hours(self.gpu_hours)} GPU-hours, "
            f"{self.disk_bytes / 1e6:.1f} MB on disk",
            "Assumed:   workers do not slow each other down; no candidate is in the ledger; the computations of the",
            f"           searcher itself are not counted; {_FRAME_SECONDS:.0f} s for the start of Ray and the report",
        ]
        if calibration.errors:
            failed = sum(not evaluation.ok for evaluation in calibration.evaluations)
            lines.append(f"Failed:    {failed} of the measured candidates, for example: {calibration.errors[0]}")
        return "\n".join([*lines, "Nothing was recorded. Run the same command without --dry-run to search."])


def _hours(hours: float) -> str:
    return "0" if hours == 0 else "under 0.01" if hours < 0.01 else f"{hours:.2f}" if hours < 10 else f"{hours:,.0f}"


def dry_run(configuration: SearchConfiguration, seconds: float = 2.0) -> DryRun:
    """Check all settings of a search, evaluate candidates for about `seconds`, and estimate the resources of the search.

    No run folder is created, and nothing is written to the ledger or to MLflow. With an address (or RAY_ADDRESS) a worker of that
    cluster evaluates the candidates; otherwise this process does.

    Args:
        configuration: The search.
        seconds: Duration of the measurement.

    Raises:
        ConfigurationError: A setting cannot be used, or no worker fits on the machines.
    """
    tracking = check_tracking(configuration.tracking, configuration.storage) if configuration.tracking != "off" else "off"
    state, fine = storage_state(configuration.storage)
    if not fine:
        raise ConfigurationError(f"storage: {state.rstrip('.')}; choose a writable folder.")
    with tempfile.TemporaryDirectory() as folder:
        search = prepare(
            replace(configuration, storage=folder),
            configuration.space,
            configuration.searcher,
            configuration.evaluator,
            resume=False,
        )
        address = configuration.address or os.environ.get("RAY_ADDRESS")
        machines = _cluster(address, configuration.storage) if address else _this_machine(configuration.gpus_per_worker)
        workers = _workers(configuration, machines, search.evaluator)
        calibration = _measure(search.evaluator, seconds, configuration, remote=bool(address))
        sizer = search.searcher.sizer
        batch = sizer.fixed or max(1, min(int(sizer.target / max(calibration.seconds, 5e-4)), sizer.largest))
        trials = -(-configuration.num_candidates // batch)
        parts = max(trials, min(configuration.num_candidates, configuration.num_candidates * calibration.seconds))
        ledger_bytes = _ledger_bytes(search.ledger, calibration.evaluations, parts, configuration.num_candidates)
    return DryRun(configuration, machines, calibration, workers, trials, ledger_bytes, state, tracking)


def _this_machine(gpus_wanted: float) -> Machines:
    gpus = 0
    if gpus_wanted:
        import torch

        gpus = torch.cuda.device_count()
    return Machines(
        "this machine", len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, gpus
    )


def _cluster(address: str, storage: str) -> Machines:
    connect(address)
    import ray

    check_storage(StoragePlace.of(storage).address)
    resources = ray.cluster_resources()
    nodes = sum(node["Alive"] for node in ray.nodes())
    return Machines(f"{nodes} node{'s' if nodes > 1 else ''} at {address}", resources.get("CPU", 0.0), resources.get("GPU", 0.0))


def _workers(configuration: SearchConfiguration, machines: Machines, evaluator: Evaluator) -> int:
    slots = machines.slots(configuration.cpus_per_worker, configuration.gpus_per_worker)
    if slots < 1:
        raise ConfigurationError(
            f"workers: none fits on the machines, because each reserves {configuration.cpus_per_worker:g} CPUs and "
            f"{configuration.gpus_per_worker:g} GPUs; {machines.name} has {machines.cpus:g} CPUs and {machines.gpus:g} GPUs. "
            "Lower cpus_per_worker or gpus_per_worker."
        )
    return min(slots, configuration.workers or (1 if evaluator.is_lookup else slots))


def _measure(evaluator: Evaluator, seconds: float, configuration: SearchConfiguration, remote: bool) -> Calibration:
    if not remote:
        return calibrate(evaluator, seconds, configuration.seed)
    import ray

    task: Any = ray.remote(num_cpus=configuration.cpus_per_worker, num_gpus=configuration.gpus_per_worker)(calibrate)
    measured: Calibration = ray.get(task.remote(evaluator, seconds, configuration.seed))
    return measured


def _ledger_bytes(ledger: Ledger, evaluations: list[Evaluation], parts: float, rows: int) -> float:
    """Return the bytes of `rows` rows in at most `parts` parts, estimated from two parts that are written."""
    chosen = evaluations[:1024]
    ledger.append("dry-run", 0, [(0, chosen[0])])
    part = _size(ledger)
    ledger.append("dry-run", 1, list(enumerate(chosen)))
    row = max(0.0, _size(ledger) - 2 * part) / (len(chosen) - 1) if len(chosen) > 1 else 0.0
    return min(parts, MOST_PARTS) * part + rows * row


def _size(ledger: Ledger) -> int:
    return sum(path.stat().st_size for path in Path(ledger.root).rglob("*") if path.is_file())
